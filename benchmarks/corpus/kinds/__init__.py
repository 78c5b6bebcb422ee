"""Kinds of questions, one module each: `questions(material)` makes those of one repository, best first."""
