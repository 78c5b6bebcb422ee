"""Write the page of languages."""

from tests.chunking.samples import PAGE, page

PAGE.write_text(page(), "utf-8")
