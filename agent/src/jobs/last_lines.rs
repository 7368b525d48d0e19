//! The last lines that a program wrote, which its failure is explained by.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps so many lines, whoever pushes them.
#[derive(Debug)]
pub struct LastLines {
    most: usize,
    lines: Mutex<VecDeque<String>>,
}

impl LastLines {
    pub fn new(most: usize) -> Self {
        Self { most, lines: Mutex::default() }
    }

    pub fn push(&self, line: &str) {
        let mut lines = self.lock();
        if lines.len() == self.most {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    pub fn read(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_stay() {
        let lines = LastLines::new(2);
        assert_eq!(lines.read(), Vec::<String>::new());
        ["one", "two", "three"].iter().for_each(|line| lines.push(line));
        assert_eq!(lines.read(), ["two", "three"]);
        lines.clear();
        assert_eq!(lines.read(), Vec::<String>::new());
    }
}
