//! What holds for this engine alone: its plans, its files. What holds for every engine stands in
//! the conformance suite.
