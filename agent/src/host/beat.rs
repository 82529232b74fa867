//! A heartbeat by the kernel's timer. A sleep of the runtime's would wake an idle agent up to three times a beat: its timer wheel turns at powers of 64 ms, and
//! a long sleep moves from one wheel to the next.

use std::io;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// A timer that expires again and again.
#[derive(Debug)]
pub struct Beat(Receiver);

impl Beat {
    /// A beat every `period`, the first after one. To be made within a runtime.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub fn every(period: Duration) -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let time = Timespec::try_from(period).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        timerfd_settime(
            &timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: time, it_value: time },
        )?;
        // As a pipe's end: the runtime polls and reads it, and its own type for any descriptor cannot be made without unsafe code.
        Ok(Self(Receiver::from_owned_fd_unchecked(timer)?))
    }

    /// The next beat; several that have passed meanwhile are one.
    ///
    /// # Errors
    /// Never, as far as the kernel's manual says.
    pub async fn next(&self) -> io::Result<()> {
        let mut expirations = [0; 8];
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut expirations) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                other => return other.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_beats_again_and_again_and_counts_what_was_missed_once() {
        let beat = Beat::every(Duration::from_millis(5)).unwrap();
        for _ in 0..3 {
            beat.next().await.unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
        beat.next().await.unwrap();
        let period = Beat::every(Duration::from_secs(3600)).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), period.next()).await.is_err());
    }
}
