// A table whose headings are buttons that sort it: the largest number or the first text on top; again, the other way.
function sortable(table) {
  const body = table?.tBodies[0];
  for (const [column, button] of (table ? [...table.tHead.querySelectorAll("button")] : []).entries()) {
    button.addEventListener("click", () => {
      const heading = button.parentElement, text = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const blank = (value) => value === "" || value === "nan";
      const numbers = [...body.rows].every((row) => blank(text(row)) || !Number.isNaN(Number(text(row))));
      const down = heading.ariaSort ? heading.ariaSort === "ascending" : numbers;
      for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
      heading.ariaSort = down ? "descending" : "ascending";
      const compare = (one, other) => {
        const [a, b] = [text(one), text(other)];
        if (blank(a) || blank(b)) return blank(a) - blank(b); // unknown ones last
        return (numbers ? a - b : a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
      };
      body.append(...[...body.rows].sort(compare));
    });
  }
}
