// SPDX-License-Identifier: GPL-2.0
/*
 * Small charts without a library: PatternFly's chart library is several times larger than the
 * rest of the page. Each chart also has its figures as text, and colour is never the only
 * difference between series.
 */
import { useLayoutEffect, useRef, useState } from "react";
import { bytes, rate, usec } from "./format.js";
import { _, format } from "./i18n.js";
import { HISTORY_MSEC, bucket, usedBuckets, quantile, runs, ticks } from "./history.js";

const HEIGHT = 150;
const LEFT = 64, RIGHT = 12, TOP = 10, BOTTOM = 24;

function useWidth() {
	const ref = useRef(null);
	const [width, setWidth] = useState(320);
	useLayoutEffect(() => {
		const observer = new ResizeObserver(([entry]) => setWidth(Math.max(200, Math.floor(entry.contentRect.width))));
		observer.observe(ref.current);
		return () => observer.disconnect();
	}, []);
	return [ref, width];
}

function YAxis({ marks, y, right, formatValue }) {
	return marks.map(value =>
		<g key={value}>
			<line className="apf-grid" x1={LEFT} x2={right} y1={y(value)} y2={y(value)} />
			<text className="apf-tick" x={LEFT - 8} y={y(value)} textAnchor="end" dominantBaseline="middle">{formatValue(value)}</text>
		</g>);
}

function Legend({ series, values }) {
	return (
		<ul className="apf-legend">
			{series.map((s, i) =>
				<li key={s.label}>
					<svg className="apf-swatch" width="24" height="10" aria-hidden="true">
						<line className={`apf-line apf-line-${s.style}`} x1="0" x2="24" y1="5" y2="5" />
					</svg>
					{s.label} <strong>{values[i]}</strong>
				</li>)}
		</ul>
	);
}

/* Lines over the last ten minutes. @series: [{ label, style, points }]. */
export function LineChart({ title, series, now, formatValue, base = 10, least = 1, most = Infinity }) {
	const [ref, width] = useWidth();
	const [at, setAt] = useState(null);
	const right = width - RIGHT, bottom = HEIGHT - BOTTOM;
	const begin = now - HISTORY_MSEC;
	const all = series.flatMap(s => s.points.map(p => p[1])).filter(Number.isFinite);
	const marks = ticks(Math.min(most, Math.max(least, ...all)), 3, base);
	const top = marks[marks.length - 1];
	const x = time => LEFT + (right - LEFT) * Math.max(0, time - begin) / HISTORY_MSEC;
	const y = value => bottom - (bottom - TOP) * Math.min(1, value / top);
	const path = points => points.map(([t, v], i) => `${i ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`).join("");
	/* a single sample would draw no line: draw a short one */
	const drawn = points => points.length > 1 ? path(points) : `${path(points)}h1.5`;
	const area = points => `${path(points)}L${x(points[points.length - 1][0]).toFixed(1)} ${bottom}L${x(points[0][0]).toFixed(1)} ${bottom}Z`;

	const nearest = points => {
		let best = null;
		for (const p of points)
			if (best === null || Math.abs(p[0] - at) < Math.abs(best[0] - at))
				best = p;
		return best && Math.abs(best[0] - at) < 15000 ? best : null;
	};
	const shown = series.map(s => at === null ? s.points[s.points.length - 1] : nearest(s.points));
	const values = shown.map(p => formatValue(p ? p[1] : NaN));
	const words = series.map((s, i) => {
		const known = s.points.map(p => p[1]).filter(Number.isFinite);
		return format(_("$0: now $1, highest $2"), s.label, values[i], known.length ? formatValue(Math.max(...known)) : _("unknown"));
	}).join("; ");
	const point = event => {
		const box = event.currentTarget.getBoundingClientRect();
		const part = (event.clientX - box.left - LEFT) / (right - LEFT);
		setAt(part >= 0 && part <= 1 ? begin + part * HISTORY_MSEC : null);
	};
	const when = shown.find(p => p)?.[0];

	return (
		<figure className="apf-chart" ref={ref}>
			<svg role="img" aria-label={at === null ? format(_("$0, last ten minutes. $1"), title, words) : title}
				data-points={all.length} data-latest={Math.max(0, ...shown.filter(p => p && Number.isFinite(p[1])).map(p => p[1]))}
				width={width} height={HEIGHT} onPointerMove={point} onPointerLeave={() => setAt(null)}>
				<YAxis marks={marks} y={y} right={right} formatValue={formatValue} />
				{[10, 5, 0].map(minutes =>
					<text key={minutes} className="apf-tick" x={x(now - minutes * 60000)} y={HEIGHT - 6}
						textAnchor={minutes === 10 ? "start" : minutes ? "middle" : "end"}>
						{minutes ? format(_("−$0 min"), minutes) : _("now")}
					</text>)}
				{series.map(s => runs(s.points).map(run =>
					<g key={run[0][0]}>
						{run.length > 1 && <path className={`apf-area apf-area-${s.style}`} d={area(run)} />}
						<path className={`apf-line apf-line-${s.style}`} d={drawn(run)} />
					</g>))}
				{at !== null && when &&
					<g>
						<line className="apf-cursor" x1={x(when)} x2={x(when)} y1={TOP} y2={bottom} />
						<text className="apf-tick" x={x(when)} y={TOP} textAnchor={x(when) > width / 2 ? "end" : "start"}
							dx={x(when) > width / 2 ? -4 : 4}>
							{new Date(when).toLocaleTimeString()}
						</text>
					</g>}
			</svg>
			<figcaption>
				<Legend series={series} values={values} />
			</figcaption>
		</figure>
	);
}

/* Counts by latency, asynchronous and synchronous swap-ins beside each other. */
export function Histogram({ async, sync, period }) {
	const [ref, width] = useWidth();
	const span = usedBuckets(async, sync);
	const total = async.map((n, i) => n + (sync[i] || 0));
	const words = span
		? format(_("half below $0, 95 % below $1"), usec(quantile(total, 0.5)), usec(quantile(total, 0.95)))
		: _("no swap-ins");
	const right = width - RIGHT, bottom = HEIGHT - BOTTOM;
	const [first, last] = span || [10, 16];
	const marks = ticks(Math.max(1, ...total.length ? [...async, ...sync] : []));
	const y = value => bottom - (bottom - TOP) * value / marks[marks.length - 1];
	const step = (right - LEFT) / (last - first + 1);
	const bar = Math.max(1, Math.min(22, step / 2 - 2));
	/* as many labels as fit */
	const every = Math.ceil(58 / step);

	return (
		<figure className="apf-chart" ref={ref}>
			<svg role="img" aria-label={format(_("Latency of swap-ins, $0: $1"), period, words)} width={width} height={HEIGHT}
				data-count={total.reduce((a, b) => a + b, 0)}>
				<YAxis marks={marks} y={y} right={right} formatValue={n => n >= 10000 ? `${n / 1000}k` : `${n}`} />
				{Array.from({ length: last - first + 1 }, (_all, n) => {
					const i = first + n;
					const [from, to] = bucket(i, Math.max(async.length, sync.length, last + 2));
					const middle = LEFT + step * (n + 0.5);
					return (
						<g key={i}>
							<title>{format(_("$0 to $1: $2 asynchronous, $3 synchronous"), from ? usec(from) : "0",
								Number.isFinite(to) ? usec(to) : "∞", async[i] || 0, sync[i] || 0)}</title>
							<rect className="apf-hit" x={middle - step / 2} width={step} y={TOP} height={bottom - TOP} />
							<rect className="apf-bar apf-bar-async" x={middle - bar - 1} width={bar} y={y(async[i] || 0)}
								height={bottom - y(async[i] || 0)} />
							<rect className="apf-bar apf-bar-sync" x={middle + 1} width={bar} y={y(sync[i] || 0)}
								height={bottom - y(sync[i] || 0)} />
							{n % every === 0 &&
								<text className="apf-tick" x={middle} y={HEIGHT - 6} textAnchor="middle">
									{`≥ ${from ? usec(from) : "0"}`}
								</text>}
						</g>
					);
				})}
			</svg>
			<figcaption>
				<ul className="apf-legend">
					<li><span className="apf-key apf-key-async" aria-hidden="true" />{_("asynchronous")}{" "}
						<strong>{rate(async.reduce((a, b) => a + b, 0))}</strong></li>
					<li><span className="apf-key apf-key-sync" aria-hidden="true" />{_("synchronous")}{" "}
						<strong>{rate(sync.reduce((a, b) => a + b, 0))}</strong></li>
				</ul>
				<span>{words}</span>
			</figcaption>
		</figure>
	);
}

/* The ring buffer may have samples older than the ten minutes shown, if samples were missing. */
const swapIns = (series, now) => [
	{ label: _("asynchronous"), style: "async", points: series.points("async", now - HISTORY_MSEC) },
	{ label: _("synchronous"), style: "sync", points: series.points("sync", now - HISTORY_MSEC) },
];

export const RateChart = ({ series, now }) =>
	<LineChart title={_("Swap-ins per second")} series={swapIns(series, now)} now={now} formatValue={rate} least={10} />;

export const StallChart = ({ series, now, label }) =>
	<LineChart title={_("Share of time stopped for swap-ins")} now={now} least={10} most={100}
		series={[{ label, style: "sync", points: series.points("stall", now - HISTORY_MSEC).map(([t, v]) => [t, v * 100]) }]}
		formatValue={v => Number.isFinite(v) ? `${rate(v)} %` : "–"} />;

export const SwappedChart = ({ series, now }) =>
	<LineChart title={_("Memory on swap")} now={now} least={1024 * 1024} base={1024} formatValue={bytes}
		series={[{ label: _("on swap"), style: "swapped", points: series.points("swapped", now - HISTORY_MSEC) }]} />;
