// Reload when the report changes. Without JavaScript the page is complete all the same.
const id = document.body.dataset.report;
if (id) {
  const source = new EventSource(`/reports/${id}/events`);
  let first = true;
  source.addEventListener("report", () => {
    if (first) { first = false; return; }
    source.close();
    location.reload();
  });
}
