//! Command line options: `--key value` pairs, each asked for once by name. What is left over is an error.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The options not yet asked for.
pub struct Args(BTreeMap<String, String>);

impl Args {
    /// Reads `--key value` pairs.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut pairs = BTreeMap::new();
        while let Some(word) = words.next() {
            let key = word.strip_prefix("--").ok_or_else(|| format!("{word}: an option starts with --"))?;
            let value = words.next().ok_or_else(|| format!("--{key}: a value is missing"))?;
            pairs.insert(key.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    /// The value of `key`, if given.
    pub fn take<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, String> {
        let Some(text) = self.0.remove(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("--{key}: {text} is no value for it"))
    }

    /// Whether `key` is given and not yet asked for.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of `key`, or `default`.
    pub fn take_or<T: FromStr>(&mut self, key: &str, default: T) -> Result<T, String> {
        Ok(self.take(key)?.unwrap_or(default))
    }

    /// The value of `key`, which must be there.
    pub fn need<T: FromStr>(&mut self, key: &str) -> Result<T, String> {
        self.take(key)?.ok_or_else(|| format!("--{key} is missing"))
    }

    /// Complains about options nobody asked for.
    pub fn finish(self) -> Result<(), String> {
        match self.0.keys().next() {
            Some(key) => Err(format!("--{key}: no such option here")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_are_taken_once_and_the_rest_is_refused() {
        let mut given = args("--seconds 2.5 --connections 8").unwrap();
        assert_eq!(given.take_or("seconds", 1.0), Ok(2.5));
        assert_eq!(given.take_or("seconds", 1.0), Ok(1.0));
        assert!(given.finish().unwrap_err().contains("--connections"));
    }

    #[test]
    fn mistakes_name_the_option() {
        assert!(args("seconds 2").is_err());
        assert!(args("--seconds").is_err());
        assert!(args("--seconds x").unwrap().take::<f64>("seconds").unwrap_err().contains("--seconds"));
        assert!(args("").unwrap().need::<u64>("target").unwrap_err().contains("--target"));
    }
}
