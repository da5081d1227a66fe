"use strict";
// Draws the charts of the report from the data in it. Names reach the page as text only:
// through textContent, or through Vega, which draws them as text.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const hidden = new Set();
  const LABEL = "datum.value != 0 && (abs(datum.value) >= 1e6 || abs(datum.value) < 1e-4)" +
    " ? format(datum.value, '.2~e') : format(datum.value, '.4~r')";
  const $ = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const title = (key) => data.titles[key] || key;
  const names = unique(data.configs.map((c) => c.name));

  // Two configurations may bear one name; a chart must still tell them apart.
  function unique(all) {
    return all.map((name, i) => (all.indexOf(name) === i ? name : `${name} #${i + 1}`));
  }

  function theme() {
    const css = getComputedStyle(document.documentElement);
    const get = (name) => css.getPropertyValue(name).trim();
    const text = get("--text"), muted = get("--muted"), line = get("--line");
    return {
      background: "transparent", font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: {
        labelColor: muted, titleColor: muted, gridColor: line, domainColor: line, tickColor: line,
        titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12, gridOpacity: 0.7,
      },
      text: { color: text }, legend: { labelColor: text, titleColor: muted },
      rule: { color: muted }, paper: get("--bg"),
    };
  }

  function draw(id, spec) {
    const element = typeof id === "string" ? $(id) : id;
    const { paper, ...config } = theme();
    const full = {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: "container", autosize: { type: "fit", contains: "padding" }, config, ...spec,
    };
    const many = data.configs.length > 40;
    const options = {
      actions: false, ast: true, renderer: many ? "canvas" : "svg",
      tooltip: { theme: dark.matches ? "dark" : "light" },
    };
    return vegaEmbed(element, full, options).catch((error) => {
      element.textContent = `this chart could not be drawn: ${error.message}`;
    });
  }

  function options(select, entries, chosen, show) {
    select.replaceChildren(...entries.map(([value, text]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = text;
      return option;
    }));
    select.value = chosen;
    select.parentElement.hidden = show === false;
  }

  // ---- curves -------------------------------------------------------------------------------

  // What has no colour of its own is drawn first, and lightly: it is the ground for what has.
  const behind = (rows) => [...rows.filter((row) => row.rest), ...rows.filter((row) => !row.rest)];
  const lightly = (full) => ({ condition: { test: "datum.rest", value: 0.25 }, value: full });

  function points(metric, group, x) {
    const rows = [];
    for (const [j, line] of data.curves[metric].entries()) {
      const config = data.configs[line.config];
      if (config.group !== group || hidden.has(line.config)) continue;
      line.values.forEach((value, i) => rows.push({
        x: line[x][i], y: value, config: names[line.config], seed: line.seed, line: j,
        images: line.images[i], minutes: line.minutes[i], rest: config.rest,
      }));
    }
    return behind(rows);
  }

  // A logarithm has no zero to leave out, and Vega warns of one.
  const scaleOf = (log, more) => ({ ...(log ? { type: "log" } : { type: "linear", zero: false }), ...more });

  // Early values far off would flatten all that matters; a logarithm shows both.
  function wantsLog(rows) {
    const values = rows.map((row) => row.y).sort((a, b) => a - b);
    if (!values.length || values[0] <= 0) return false;
    return values[values.length - 1] / values[Math.floor(values.length / 2)] > 8 ||
      values[values.length - 1] / values[0] > 50;
  }

  function curveSpec(metric, group, x, log, height, extra) {
    const rows = points(metric, group, x);
    const single = rows.length < 150;
    const minutes = x === "minutes";
    const times = [1 / 6, 0.5, 1, 3, 10, 30, 90, 300, 1440];
    const last = Math.max(...rows.map((row) => row.x), 0);
    const first = Math.min(...rows.map((row) => row.x), last);
    const lines = {
      data: { values: rows },
      mark: {
        type: "line", strokeWidth: rows.length > 4000 ? 1 : 1.8, clip: true,
        interpolate: "linear", point: single ? { size: 26, filled: true } : false,
      },
      encoding: {
        x: {
          field: "x", type: "quantitative", title: minutes ? "minutes of training" : "images seen",
          scale: minutes && extra ? { type: "log", nice: false, domain: [first * 0.95, last * 1.05] } : {},
          axis: {
            grid: false, labelExpr: minutes ? LABEL : "format(datum.value, '~s')", labelOverlap: true,
            ...(minutes && extra ? { values: ticks(first, last) } : { tickCount: 5 }),
          },
        },
        y: {
          field: "y", type: "quantitative", title: null,
          scale: scaleOf(log),
          axis: { tickCount: 5, labelExpr: LABEL, labelOverlap: true },
        },
        color: {
          field: "config", type: "nominal", legend: null,
          scale: { domain: names, range: data.configs.map((c) => c.colour) },
        },
        opacity: lightly(1),
        detail: { field: "line" },
        tooltip: [
          { field: "config", title: "configuration" }, { field: "seed" },
          { field: "y", title: metric, format: ".5~g" },
          { field: "images", title: "images seen", format: ",d" },
          { field: "minutes", format: ".3~g" },
        ],
      },
    };
    const layer = [lines];
    const floor = data.floors[metric] && data.floors[metric][group];
    if (extra && floor !== undefined && (!log || floor > 0)) {
      layer.push({
        data: { values: [{ y: floor, label: "floor: real images" }] },
        mark: { type: "rule", strokeDash: [5, 4], opacity: 0.8 }, encoding: { y: { field: "y", type: "quantitative" } },
      }, {
        data: { values: [{ y: floor, label: "floor: real images" }] },
        mark: { type: "text", align: "left", baseline: "bottom", dx: 4, dy: -2, fontSize: 11, opacity: 0.8 },
        encoding: { x: { value: 0 }, y: { field: "y", type: "quantitative" }, text: { field: "label" } },
      });
    }
    if (extra && minutes) {
      layer.unshift({
        data: { values: times.filter((t) => t >= first && t <= last * 1.05).map((t) => ({ t })) },
        mark: { type: "rule", strokeWidth: 1, opacity: 0.35 },
        encoding: { x: { field: "t", type: "quantitative" } },
      });
    }
    return { height, layer };
  }

  function ticks(first, last) {
    const all = [0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 90, 180, 300, 600, 1440];
    return all.filter((t) => t >= first * 0.9 && t <= last * 1.1);
  }

  let metricOfLog = null;

  function drawTime() {
    if (!$("time-chart")) return;
    const metric = $("time-metric").value, group = $("time-group").value;
    if (metricOfLog !== metric + group) {
      $("time-log").checked = wantsLog(points(metric, group, "minutes"));
      metricOfLog = metric + group;
    }
    draw("time-chart", curveSpec(metric, group, "minutes", $("time-log").checked, 340, true));
  }

  function drawCurves() {
    if (!$("curve-charts")) return;
    const group = $("curve-group").value, x = $("curve-x").value;
    const figures = [];
    for (const metric of Object.keys(data.curves)) {
      const rows = points(metric, group, x);
      if (!rows.length) continue;
      const figure = document.createElement("figure");
      const caption = document.createElement("figcaption");
      const log = wantsLog(rows);
      caption.textContent = metric + (log ? " (logarithmic)" : "");
      const chart = document.createElement("div");
      chart.className = "chart";
      figure.append(caption, chart);
      figures.push([figure, chart, curveSpec(metric, group, x, log, 200, false)]);
    }
    $("curve-charts").replaceChildren(...figures.map(([figure]) => figure));
    figures.forEach(([, chart, spec]) => draw(chart, spec));
  }

  function drawLegend() {
    if (!$("legend")) return;
    const group = $("curve-group").value;
    const buttons = data.configs.map((config, i) => {
      if (config.group !== group) return null;
      const button = document.createElement("button");
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.style.background = config.colour;
      button.append(chip, names[i]);
      button.title = "show or hide";
      button.classList.toggle("off", hidden.has(i));
      button.onclick = () => {
        hidden.has(i) ? hidden.delete(i) : hidden.add(i);
        button.classList.toggle("off", hidden.has(i));
        drawCurves();
        drawTime();
      };
      return button;
    });
    $("legend").replaceChildren(...buttons.filter(Boolean));
  }

  // ---- quality against evaluations ----------------------------------------------------------

  // A line's points: rows that compare, by their evaluations. A single point is drawn, too.
  function evaluationPoints(metric, group) {
    const { rows: chosen } = comparable(metric, group);
    const nfe = data.numbers.nfe || [];
    const best = data.evaluations.lines.map((line) => data.configs[Math.min(...line.rows)]);
    return behind(data.evaluations.lines.flatMap((line, j) => line.rows
      .filter((i) => chosen.includes(i) && nfe[i]).map((i) => {
        const [mean, std] = data.numbers[metric][i];
        return {
          x: nfe[i][0], y: mean, low: mean - (std || 0), high: mean + (std || 0), line: j,
          name: line.name, colour: best[j].colour, rest: best[j].rest,
        };
      })));
  }

  let metricOfEvaluations = null;

  function drawEvaluations() {
    if (!$("nfe-chart")) return;
    const metric = $("nfe-metric").value, group = $("nfe-group").value;
    const rows = evaluationPoints(metric, group);
    if (metricOfEvaluations !== metric + group) {
      $("nfe-log").checked = spread(rows.map((row) => row.y));
      metricOfEvaluations = metric + group;
    }
    const log = $("nfe-log").checked && rows.every((row) => row.y > 0);
    const counts = [...new Set(rows.map((row) => row.x))].sort((a, b) => a - b);
    const x = {
      field: "x", type: "quantitative", title: "evaluations of the network a sample",
      scale: { type: "log", nice: false, domain: [counts[0] * 0.9, counts[counts.length - 1] * 1.5] },
      axis: { grid: false, values: counts, format: ",d", labelOverlap: true },
    };
    const y = {
      field: "y", type: "quantitative", title: title(metric) + arrow(metric),
      scale: scaleOf(log, log ? { nice: false, padding: 12 } : { padding: 12 }),
      axis: { tickCount: 5, labelExpr: LABEL, labelOverlap: true },
    };
    const color = { field: "colour", type: "nominal", scale: null, legend: null };
    const base = { x, y, color, detail: { field: "line" } };
    const ends = {};
    rows.forEach((row) => { if (!ends[row.line] || row.x > ends[row.line].x) ends[row.line] = row; });
    const layer = [
      {
        data: { values: rows.filter((row) => row.low < row.high && (!log || row.low > 0)) },
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { x, color, opacity: { value: 0.7 }, y: { ...y, field: "low" }, y2: { field: "high" } },
      },
      {
        data: { values: rows }, mark: { type: "line", strokeWidth: 1.8, point: { size: 40, filled: true } },
        encoding: {
          ...base,
          tooltip: [
            { field: "name", title: "configuration" }, { field: "x", title: "evaluations" },
            { field: "y", title: title(metric), format: ".5~g" },
          ],
        },
      },
    ];
    const floors = comparable(metric, group).rows.map((i) => data.evaluations.floors[metric][i])
      .filter((floor) => floor !== null && (!log || floor > 0));
    if (floors.length) {
      const values = [{ y: floors[0], label: "floor: real images" }];
      layer.push({
        data: { values }, mark: { type: "rule", strokeDash: [5, 4], opacity: 0.8 }, encoding: { y },
      }, {
        data: { values },
        mark: { type: "text", align: "left", baseline: "bottom", dx: 4, dy: -2, fontSize: 11, opacity: 0.8 },
        encoding: { x: { value: 0 }, y, text: { field: "label" } },
      });
    }
    if (Object.keys(ends).length <= 12) {
      layer.push({
        data: { values: Object.values(ends) },
        mark: { type: "text", align: "left", dx: 9, fontSize: 11, limit: 170 },
        encoding: { x, y, text: { field: "name" } },
      });
    }
    draw("nfe-chart", { height: 340, layer });
  }

  // ---- hyperparameters ----------------------------------------------------------------------

  // The rows of a data set that have a metric and compare under it: those of the largest kind.
  function comparable(metric, group) {
    const column = data.numbers[metric] || [];
    const found = data.configs.map((config, i) => i)
      .filter((i) => data.configs[i].group === group && column[i]);
    const counts = {};
    found.forEach((i) => { counts[column[i][2]] = (counts[column[i][2]] || 0) + 1; });
    const most = Object.keys(counts).sort((a, b) => counts[b] - counts[a])[0];
    return { rows: found.filter((i) => String(column[i][2]) === most), all: found.length };
  }

  const settingKeys = Object.keys(data.settings)
    .filter((key) => !key.endsWith("_target_") || !data.settings[key].includes(null));
  const value = (key, i) => (key in data.settings
    ? data.settings[key][i] : data.numbers[key] && data.numbers[key][i] && data.numbers[key][i][0]);
  const numeric = (values) => values.every((v) => typeof v === "number");
  const spread = (values) => numeric(values) && Math.min(...values) > 0 &&
    Math.max(...values) / Math.min(...values) >= 8;
  const brief = (v) => (typeof v === "number"
    ? String(Number(v.toPrecision(4))) : String(v).split(".").pop());

  function drawScatter() {
    if (!$("scatter-chart")) return;
    const x = $("scatter-x").value, y = $("scatter-y").value, group = $("scatter-group").value;
    const { rows: chosen, all } = comparable(y, group);
    const usable = chosen.filter((i) => value(x, i) !== null && value(x, i) !== undefined);
    const isNumber = numeric(usable.map((i) => value(x, i)));
    const rows = behind(usable.map((i) => {
      const [mean, std] = data.numbers[y][i];
      return {
        x: isNumber ? value(x, i) : brief(value(x, i)), y: mean, config: names[i],
        low: mean - (std || 0), high: mean + (std || 0), front: data.configs[i].front,
        rest: data.configs[i].rest,
      };
    }));
    const levels = [...new Set(rows.map((row) => row.x))];
    const left = all - chosen.length, lacking = chosen.length - usable.length;
    $("scatter-note").textContent = [
      `${rows.length} configurations that compare by ${title(y)}`,
      left ? `${left} measured otherwise are left out` : "",
      lacking ? `${lacking} without ${title(x)}` : "",
    ].filter(Boolean).join("; ");
    const xs = {
      field: "x", type: isNumber ? "quantitative" : "nominal", title: title(x),
      scale: isNumber ? scaleOf(spread(rows.map((r) => r.x)), { padding: 20 }) : {},
      axis: {
        labelAngle: 0, grid: false, labelOverlap: true, tickCount: 6,
        ...(isNumber ? { labelExpr: LABEL } : {}),
        ...(isNumber && levels.length <= 8 ? { values: levels } : {}),
      },
    };
    const ys = {
      field: "y", type: "quantitative", title: title(y) + arrow(y),
      scale: scaleOf(spread(rows.map((r) => r.y)), { padding: 16 }),
      axis: { labelExpr: LABEL, tickCount: 5 },
    };
    const color = {
      field: "config", type: "nominal", legend: null,
      scale: { domain: names, range: data.configs.map((c) => c.colour) },
    };
    const layer = [
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { opacity: lightly(0.7), x: xs, y: { field: "low", type: "quantitative", title: title(y) + arrow(y) }, y2: { field: "high" }, color },
      },
      {
        mark: { type: "point", filled: true, size: 90 },
        encoding: {
          x: xs, y: ys, color, opacity: lightly(0.95),
          tooltip: [
            { field: "config", title: "configuration" }, { field: "x", title: title(x) },
            { field: "y", title: title(y), format: ".5~g" },
          ],
        },
      },
    ];
    if (rows.length <= 12) {
      layer.push({
        mark: { type: "text", align: "left", dx: 9, fontSize: 11, limit: 170 },
        encoding: { x: xs, y: ys, text: { field: "config" } },
      });
    }
    if (data.pareto.length === 2 && data.pareto.includes(x) && data.pareto.includes(y)) {
      layer.unshift({
        transform: [{ filter: "datum.front" }],
        mark: { type: "line", interpolate: "step-after", strokeDash: [4, 3], opacity: 0.7 },
        encoding: { x: xs, y: ys },
      });
    }
    draw("scatter-chart", { height: 320, data: { values: rows }, layer });
  }

  const arrow = (key) => ({ lower: " ↓", higher: " ↑" }[data.better[key]] || "");

  function drawParallel() {
    if (!$("parallel-chart")) return;
    const metric = $("scatter-y").value, group = $("scatter-group").value;
    const { rows: all } = comparable(metric, group);
    const varies = (key, rows) => new Set(rows.map((i) => String(value(key, i)))).size > 1;
    const keys = settingKeys
      .filter((key) => all.every((i) => value(key, i) !== null) && varies(key, all)).slice(0, 8);
    if (!keys.length || all.length < 2) {
      $("parallel-chart").textContent = "No key of the configurations varies among these.";
      return;
    }
    const axes = [...keys, metric];
    const lines = [], labels = [], rules = [];
    for (const key of axes) {
      const values = all.map((i) => value(key, i));
      const isNumber = numeric(values);
      const levels = [...new Set(values.map(String))].sort();
      const few = [...new Set(values)].sort((a, b) => a - b);
      const log = isNumber && spread(values);
      const f = (v) => (log ? Math.log(v) : v);
      const low = isNumber ? f(Math.min(...values)) : 0, high = isNumber ? f(Math.max(...values)) : 1;
      const at = (v) => {
        if (!isNumber) return levels.length === 1 ? 0.5 : levels.indexOf(String(v)) / (levels.length - 1);
        return high === low ? 0.5 : (f(v) - low) / (high - low);
      };
      const name = title(key) + (key === metric ? arrow(key) : "");
      rules.push({ axis: name, low: 0, high: 1 });
      const marked = isNumber ? (few.length <= 6 ? few : [few[0], few[few.length - 1]]) : levels;
      marked.forEach((v) => labels.push({ axis: name, y: at(v), label: brief(v) }));
      all.forEach((i, j) => lines.push({
        axis: name, y: at(values[j]), config: names[i], result: value(metric, i), shown: brief(values[j]),
      }));
    }
    const order = axes.map((key) => title(key) + (key === metric ? arrow(key) : ""));
    $("parallel-note").textContent =
      `A line a configuration, coloured by ${title(metric)}: the ${dark.matches ? "brighter" : "darker"} the better. ` +
      "Click one to single it out, twice to see all.";
    const x = {
      field: "axis", type: "nominal", sort: order, scale: { type: "point", padding: 0.3 },
      axis: { orient: "top", title: null, labelAngle: 0, labelFontSize: 12, domain: false, ticks: false, grid: false, labelLimit: 150 },
    };
    const y = { field: "y", type: "quantitative", axis: null, scale: { domain: [-0.04, 1.04] } };
    const results = all.map((i) => value(metric, i));
    const color = {
      field: "result", type: "quantitative", title: title(metric), legend: null,
      scale: {
        // the ends of the scheme that the paper would swallow are cut off
        scheme: { name: "viridis", extent: dark.matches ? [0.2, 1] : [0, 0.85] }, type: spread(results) ? "log" : "linear",
        reverse: (data.better[metric] === "higher") !== dark.matches,
      },
    };
    draw("parallel-chart", {
      height: 300,
      layer: [
        { data: { values: rules }, mark: { type: "rule", opacity: 0.6 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" } } },
        {
          data: { values: lines },
          params: [{ name: "one", select: { type: "point", fields: ["config"], on: "click", clear: "dblclick" } }],
          mark: { type: "line", strokeWidth: 2.4 },
          encoding: {
            x, y, color, detail: { field: "config" },
            opacity: { condition: { param: "one", value: 0.9 }, value: 0.07 },
            tooltip: [{ field: "config", title: "configuration" }, { field: "result", title: title(metric), format: ".5~g" }],
          },
        },
        ...[{ stroke: theme().paper, strokeWidth: 4, strokeJoin: "round" }, {}].map((halo) => ({
          data: { values: labels },
          mark: { type: "text", align: "left", dx: 8, fontSize: 11, ...halo },
          encoding: { x, y, text: { field: "label" } },
        })),
      ],
    });
  }

  // ---- tables that sort ---------------------------------------------------------------------

  document.querySelectorAll("th[data-sort]").forEach((head) => {
    head.onclick = () => {
      const place = [...head.parentElement.children].indexOf(head);
      const body = head.closest("table").tBodies[0];
      const up = head.getAttribute("aria-sort") !== "ascending";
      head.parentElement.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const read = (row) => {
        const cell = row.children[place];
        return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent.trim();
      };
      const empty = (v) => v === "" || Number.isNaN(v);
      const rows = [...body.rows].sort((a, b) => {
        const [p, q] = [read(a), read(b)];
        if (empty(p) || empty(q)) return empty(p) - empty(q);
        const less = typeof p === "number" && typeof q === "number" ? p - q : String(p).localeCompare(String(q));
        return up ? less : -less;
      });
      body.append(...rows);
    };
  });

  // ---- start --------------------------------------------------------------------------------

  const several = data.groups.length > 1;
  const groupOptions = data.groups.map((group) => {
    const short = group.split(" ")[0];
    const same = data.groups.filter((other) => other.split(" ")[0] === short).length > 1;
    return [group, same ? group : short];
  });
  if ($("time-chart")) {
    options($("time-metric"), Object.keys(data.curves).map((m) => [m, m]), data.quality);
    options($("time-group"), groupOptions, data.groups[0], several);
    ["time-metric", "time-group", "time-log"].forEach((id) => { $(id).onchange = drawTime; });
  }
  if ($("nfe-chart")) {
    options($("nfe-metric"), data.evaluations.metrics.map((key) => [key, title(key)]), data.evaluations.metrics[0]);
    options($("nfe-group"), groupOptions, data.groups[0], several);
    ["nfe-metric", "nfe-group", "nfe-log"].forEach((id) => { $(id).onchange = drawEvaluations; });
  }
  if ($("curve-charts")) {
    options($("curve-group"), groupOptions, data.groups[0], several);
    $("curve-group").onchange = () => { drawLegend(); drawCurves(); };
    $("curve-x").onchange = drawCurves;
    drawLegend();
  }
  if ($("scatter-chart")) {
    const measured = Object.keys(data.numbers).map((key) => [key, title(key)]);
    const facts = measured.filter(([key]) => ["images_seen", "train_seconds", "parameters", "samples_per_second"].includes(key));
    const xs = [...settingKeys.map((key) => [key, key]), ...facts, ...measured.filter((m) => !facts.includes(m))];
    const wanted = data.pareto.length > 1 ? data.pareto[1] : (xs[0] || [""])[0];
    options($("scatter-x"), xs, wanted);
    options($("scatter-y"), measured, data.pareto.length > 1 ? data.pareto[0] : data.key);
    options($("scatter-group"), groupOptions, data.groups[0], several);
    $("scatter-x").onchange = drawScatter;
    ["scatter-y", "scatter-group"].forEach((id) => { $(id).onchange = () => { drawScatter(); drawParallel(); }; });
  }
  const drawAll = () => { drawTime(); drawEvaluations(); drawCurves(); drawScatter(); drawParallel(); };
  drawAll();
  dark.addEventListener("change", drawAll);
})();
