//! What keeps a document from being published: everything that is wrong with it, each with the place and the reason.

use std::fmt;

/// Nobody reads more at once, and a hostile document should not be answered by a longer text than itself.
const PROBLEMS_MAX: usize = 100;

/// Characters of a name that are repeated in a path or a reason.
const SHOWN_CHARS_MAX: usize = 80;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where, such as `rules[3].when.percent`; empty for the document as a whole.
    pub(crate) path: String,
    /// Continues a sentence that the path begins.
    pub(crate) reason: String,
}

/// Why a document is refused: at least one problem, at most 100. The texts are for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, in the order they were found.
    pub(crate) fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// The problems, in the order they were found.
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return f.write_str("nothing is wrong") };
        let path = if first.path.is_empty() { "the document" } else { &first.path };
        write!(f, "{path} {}", first.reason)?;
        match self.0.len() - 1 {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

/// Gathers problems while a document is read.
#[derive(Debug, Default)]
pub(super) struct Collector(Vec<Problem>);

impl Collector {
    pub(super) fn add(&mut self, path: &Path<'_>, reason: impl Into<String>) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(Problem { path: path.to_string(), reason: reason.into() });
        }
    }

    /// `value`, unless something was wrong.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(value) } else { Err(Problems(self.0)) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are by now: whoever sees the number unchanged knows that what it called found nothing wrong.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A place in a document. Lies on the stack and becomes text only when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(super) fn member(&'p self, name: &'p str) -> Path<'p> {
        Path::Member(self, name)
    }

    pub(super) fn index(&'p self, index: usize) -> Path<'p> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(Path::Root, name) => write!(f, "{}", Shown(name)),
            Path::Member(parent, name) => write!(f, "{parent}.{}", Shown(name)),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A name out of a document as it may be shown: cut off, without control characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'n>(pub(super) &'n str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, character) in self.0.chars().enumerate() {
            if count == SHOWN_CHARS_MAX {
                return f.write_str("…");
            }
            write!(f, "{}", if character.is_control() { '\u{fffd}' } else { character })?;
        }
        Ok(())
    }
}
