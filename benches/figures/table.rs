//! Times, and the table that is made of them.

use std::fmt;
use std::time::Duration;

/// What was measured of one thing, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    fn at(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let index = ((sorted.len() - 1) as f64 * part).round() as usize;
        sorted[index]
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median() < 100.0 { 1 } else { 0 };
        let (low, high) = (self.at(0.1), self.at(0.9));
        write!(f, "{:.digits$} ms ({low:.digits$}-{high:.digits$})", self.median())
    }
}

/// A limit in terms of the rival: `factor` times its figure and `more_ms` on top.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) factor: f64,
    pub(crate) more_ms: f64,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.factor, self.more_ms) {
            (factor, 0.0) => write!(f, "{factor} x"),
            (1.0, more) => write!(f, "+ {more} ms"),
            (factor, more) => write!(f, "{factor} x + {more} ms"),
        }
    }
}

/// The rows, in the form that `tests/bench` collects from all benches.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 6]>,
    broken: usize,
}

impl Table {
    /// Times beside a rival's.
    pub(crate) fn beside(&mut self, name: &str, ours: &Times, rival: &Times, limit: Limit) {
        let bound = rival.median() * limit.factor + limit.more_ms;
        let ratio = format!("{:.2}", ours.median() / rival.median());
        let limit = format!("{limit} = {bound:.1} ms");
        self.row(name, &ours.to_string(), &rival.to_string(), &ratio, &limit, Some(ours.median() <= bound));
    }

    /// Times that only explain others.
    pub(crate) fn note(&mut self, name: &str, ours: &str, rival: &str) {
        self.row(name, ours, rival, "", "", None);
    }

    /// A number that has to be no larger than this.
    pub(crate) fn at_most(&mut self, name: &str, ours: f64, unit: &str, limit: f64) {
        let kept = Some(ours <= limit);
        self.row(name, &format!("{ours} {unit}"), "", "", &format!("{limit} {unit}"), kept);
    }

    fn row(&mut self, name: &str, ours: &str, rival: &str, ratio: &str, limit: &str, kept: Option<bool>) {
        self.broken += usize::from(kept == Some(false));
        let verdict = match kept {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        self.rows.push([name, ours, rival, ratio, limit, verdict].map(|cell| cell.trim().to_owned()));
        eprintln!("{name}: {ours} | {rival} | {limit} {verdict}");
    }

    /// Whether every limit was kept.
    pub(crate) fn kept(&self) -> bool {
        self.broken == 0
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}
