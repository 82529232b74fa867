//! Durations, sizes and times as people write and read them.

use std::time::Duration;

/// A duration of so many nanoseconds, with three digits: `850 ns`, `12.3 ms`, `1.25 s`, `2 min 5 s`, `3 h 20 min`.
pub(crate) fn duration(nanoseconds: u64) -> String {
    const MINUTE: u64 = 60_000_000_000;
    match nanoseconds {
        0 => "0".to_owned(),
        1..1_000 => format!("{nanoseconds} ns"),
        1_000..999_500 => scaled(nanoseconds, 1_000, "us"),
        999_500..999_500_000 => scaled(nanoseconds, 1_000_000, "ms"),
        999_500_000..MINUTE => scaled(nanoseconds, 1_000_000_000, "s"),
        _ => {
            let seconds = nanoseconds / 1_000_000_000;
            let (minutes, seconds) = (seconds / 60, seconds % 60);
            if minutes < 60 {
                format!("{minutes} min {seconds} s")
            } else {
                format!("{} h {} min", minutes / 60, minutes % 60)
            }
        }
    }
}

/// A size in bytes, with three digits: `512 B`, `4 KiB`, `1.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1 << 60, "EiB"),
        (1 << 50, "PiB"),
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    for (unit, name) in UNITS {
        if bytes >= unit {
            return scaled(bytes, unit, name);
        }
    }
    format!("{bytes} B")
}

/// `value / unit` with three digits and no zeros at the end, rounded to nearest.
fn scaled(value: u64, unit: u64, name: &str) -> String {
    let whole = value / unit;
    let digits: u32 = match whole {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let ten = 10u128.pow(digits);
    let rounded = (u128::from(value) * ten + u128::from(unit) / 2) / u128::from(unit);
    let (whole, part) = (rounded / ten, rounded % ten);
    if part == 0 {
        return format!("{whole} {name}");
    }
    let part = format!("{part:0width$}", width = digits as usize);
    format!("{whole}.{} {name}", part.trim_end_matches('0'))
}

/// The contract's timestamp (RFC 3339, UTC, nine digits) to the second: `2026-11-23 15:54:03Z`. Anything else as it is.
pub(crate) fn time(timestamp: &str) -> String {
    match (timestamp.get(..10), timestamp.get(10..11), timestamp.get(11..19)) {
        (Some(date), Some("T"), Some(clock)) => format!("{date} {clock}Z"),
        _ => timestamp.to_owned(),
    }
}

/// A duration as given on the command line: a number, a fraction if need be, and `ns`, `us`, `ms`, `s`, `m`/`min` or `h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const HOW: &str = "write a number and its unit: 250us, 100ms, 1.5s, 2m, 1h";
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u128 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(format!("a unit is missing; {HOW}")),
        other => return Err(format!("{other:?} is no unit of time; {HOW}")),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || whole.len() > 12 || fraction.len() > 9 {
        return Err(HOW.to_owned());
    }
    let whole: u128 = whole.parse().map_err(|_| HOW.to_owned())?;
    let parts = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let fraction: u128 = fraction.parse().map_err(|_| HOW.to_owned())?;
    let total = whole * unit + fraction * unit / parts;
    // The contract's integers end at 2^53 - 1: 104 days in nanoseconds.
    u64::try_from(total)
        .ok()
        .filter(|&nanoseconds| nanoseconds < 1 << 53)
        .map(Duration::from_nanos)
        .ok_or_else(|| "longer than 104 days".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_three_digits() {
        for (nanoseconds, expected) in [
            (0, "0"),
            (850, "850 ns"),
            (1_000, "1 us"),
            (999_499, "999 us"),
            (999_500, "1 ms"),
            (12_340_000, "12.3 ms"),
            (1_254_000_000, "1.25 s"),
            (59_990_000_000, "60 s"),
            (125_000_000_000, "2 min 5 s"),
            (12_000_000_000_000, "3 h 20 min"),
        ] {
            assert_eq!(duration(nanoseconds), expected, "{nanoseconds}");
        }
    }

    #[test]
    fn sizes_are_written_with_three_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4 KiB"),
            (1_610_612_736, "1.5 GiB"),
            (13 << 20, "13 MiB"),
            ((1 << 53) - 1, "8 PiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn times_lose_their_fraction_and_nothing_else() {
        assert_eq!(time("2026-11-23T15:54:03.123456789Z"), "2026-11-23 15:54:03Z");
        assert_eq!(time("never"), "never");
        assert_eq!(time("ééééééééééééé"), "ééééééééééééé");
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, nanoseconds) in [
            ("1ns", 1),
            ("250us", 250_000),
            ("100ms", 100_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            ("2m", 120_000_000_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in
            ["", "s", "5", ".5s", "5.s", "1.2.3s", "-1s", "1e3s", "5 s", "5d", "9999999h", "1.0000000001s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
