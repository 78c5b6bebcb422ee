"""Kinds of questions, told by how they are asked: for documents, topics, tests, uses, definitions, subtypes, routes."""
