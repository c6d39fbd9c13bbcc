"use strict";

for (const place of document.querySelectorAll("[data-chart]")) {
  load(place.dataset.chart)
    .then((spec) => draw(place, spec))
    .catch(tell);
}
