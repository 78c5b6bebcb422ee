"""Names of tests, as words, ask for the source file that the test's path names."""

from __future__ import annotations

import pytest

from benchmarks.corpus.kinds import test_name
from tests.benchmarks.corpus.material import asked, material_of

WORDS = "refuses headers with feeds"


@pytest.mark.parametrize(
    ("source", "test", "line", "query"),
    [
        ("src/x/headers.py", "tests/test_headers.py", "def test_refuses_headers_with_feeds():", WORDS),
        ("src/x/headers.py", "tests/x/headers_test.py", "async def test_refuses_headers_with_feeds():", WORDS),
        ("headers.go", "headers_test.go", "func TestRefusesHeadersWithFeeds(t *testing.T) {", WORDS),
        ("src/main/Headers.java", "src/test/HeadersTest.java", "@Test\n void refusesHeadersWithFeeds() {", WORDS),
        ("src/Headers.kt", "src/test/HeadersTest.kt", "@Test\n    fun `refuses headers with feeds`() {", WORDS),
        ("src/Headers.cs", "X.Tests/HeadersTests.cs", "[Fact]\n  public void Refuses_headers_with_feeds()", WORDS),
        ("src/headers.ts", "src/headers.spec.ts", "  it('refuses headers with feeds', () => {", WORDS),
        ("lib/headers.js", "test/headers.test.js", '  test("refuses headers with feeds", async () => {', WORDS),
        ("lib/x/headers.rb", "spec/x/headers_spec.rb", '  it "refuses headers with feeds" do', WORDS),
        ("lib/headers.ex", "test/headers_test.exs", '  test "refuses headers with feeds" do', WORDS),
        ("src/Headers.php", "tests/HeadersTest.php", "public function testRefusesHeadersWithFeeds()", WORDS),
        ("Sources/Headers.swift", "Tests/XTests/HeadersTests.swift", "func testRefusesHeadersWithFeeds() {", WORDS),
        ("src/headers.cc", "test/headers_test.cc", "TEST(Headers, RefusesHeadersWithFeeds) {", WORDS),
        ("src/headers.clj", "test/headers_test.clj", "(deftest refuses-headers-with-feeds", WORDS),
        ("R/headers.R", "tests/testthat/test-headers.R", 'test_that("refuses headers with feeds", {', WORDS),
        ("src/headers.erl", "test/headers_tests.erl", "refuses_headers_with_feeds_test() ->", WORDS),
        ("lib/Headers.scala", "src/test/scala/HeadersSuite.scala", 'test("refuses headers with feeds") {', WORDS),
    ],
)  # fmt: skip
def test_the_words_of_a_test_ask_for_what_it_tests(source: str, test: str, line: str, query: str) -> None:
    assert asked(test_name.questions, material_of({source: "x = 1\n", test: f"\n{line}\n"})) == {query: (source,)}


@pytest.mark.parametrize(
    ("sources", "test", "line"),
    [
        (["src/other.py"], "tests/test_headers.py", "def test_refuses_headers_with_feeds():"),
        (["a/headers.py", "b/headers.py"], "tests/test_headers.py", "def test_refuses_headers_with_feeds():"),
        (["src/headers.py"], "tests/test_headers.py", "def test_it():"),
        (["src/headers.py"], "tests/test_headers.py", "def test_is_in_a_header_of_it():"),
        (["src/headers.py"], "tests/test_headers.py", "def refuses_headers_with_feeds():"),
        (["src/headers.js"], "test/headers.test.js", "it(`refuses ${count} headers with feeds`, () => {"),
        (["src/headers.py"], "src/test/headers.md", "def test_refuses_headers_with_feeds():"),
    ],
)
def test_tests_that_ask_for_nothing(sources: list[str], test: str, line: str) -> None:
    files = {**dict.fromkeys(sources, "x = 1\n"), test: f"{line}\n"}
    assert asked(test_name.questions, material_of(files)) == {}


def test_folders_decide_between_files_of_one_name() -> None:
    files = {"src/http/headers.py": "x = 1\n", "src/mail/headers.py": "x = 1\n",
             "tests/mail/test_headers.py": "def test_refuses_headers_with_feeds(): pass\n"}  # fmt: skip
    assert asked(test_name.questions, material_of(files)) == {WORDS: ("src/mail/headers.py",)}
