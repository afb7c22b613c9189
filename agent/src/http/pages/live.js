// Keeps a page current: on every change the page is fetched again and its content replaced. Without
// JavaScript the page is complete all the same.
"use strict";

const watch = document.body.dataset.watch;
const live = document.getElementById("live");
let waiting = null;
let first = true;

async function refresh() {
  waiting = null;
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  document.querySelector("main").replaceWith(fresh.querySelector("main"));
  document.title = fresh.title;
  if (!fresh.body.dataset.watch) stop();
}

function stop() {
  source.close();
  live.textContent = "finished";
  live.className = "";
}

const source = watch ? new EventSource(watch) : null;
if (source) {
  source.addEventListener("open", () => {
    live.textContent = "live";
    live.className = "on";
  });
  source.addEventListener("error", () => {
    live.textContent = "connection lost, trying again";
    live.className = "off";
  });
  source.addEventListener("report", () => {
    // The first event tells the state the page already shows.
    if (first) first = false;
    else if (!waiting) waiting = setTimeout(refresh, 150);
  });
}
