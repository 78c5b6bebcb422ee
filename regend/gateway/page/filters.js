// Filters stand in the text of the query, so the box alone says what is asked. Chips put them in and take them out.

const FILTER = /(^|\s)(-?(?:lang|kind|root|path):(?:"[^"]*"|\S+))/g;

export function filtersIn(query) {
  return [...query.matchAll(FILTER)].map((found) => found[2]);
}

export function toggled(query, filter) {
  if (filtersIn(query).includes(filter)) {
    return query
      .replace(FILTER, (whole, blank, found) => (found === filter ? blank : whole))
      .replace(/\s+/g, " ")
      .trim();
  }
  return `${query.trim()} ${filter}`.trim();
}

function quoted(value) {
  return /\s/.test(value) ? `"${value}"` : value;
}

/** Return the filters that would divide these results, the most frequent first. */
export function offered(results, roots, lastPart) {
  const counts = new Map();
  const add = (name, value) => {
    if (value) counts.set(`${name}:${quoted(value)}`, (counts.get(`${name}:${quoted(value)}`) || 0) + 1);
  };
  for (const found of results) {
    add("lang", found.language);
    add("kind", found.kind);
    if (roots > 1) add("root", lastPart(found.root));
  }
  const divides = [...counts].filter(([, count]) => count < results.length);
  return divides.sort((one, other) => other[1] - one[1]).slice(0, 10);
}
