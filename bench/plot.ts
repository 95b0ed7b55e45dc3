/**
 * Plots as SVG files: lines and dots over linear or logarithmic axes, and level lines for what is to be reached.
 *
 * `writePlot(path, plot)` is all there is. Series of one name share a colour, a shape and a line of the legend, so a
 * curve and the dots that belong to it are two series. The same plot gives the same bytes: no dates, no random names.
 *
 * Cost: vega's start is 0.3 s; a point is some 15 bytes of a line and 100 of dots, so thin out curves of thousands.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parse, View } from 'vega';
import { compile, type Config, type TopLevelSpec } from 'vega-lite';

/** With a label, it is written beside the point; nothing keeps labels of neighbours apart. */
export type PlotPoint = readonly [x: number, y: number, label?: string];

export interface PlotAxis {
  readonly label: string;
  /** Logarithmic; every value must then be above zero. */
  readonly log?: boolean;
  /** Where there are ticks: of what has no values in between. */
  readonly ticks?: readonly number[];
}

export interface PlotSeries {
  readonly name: string;
  readonly points: readonly PlotPoint[];
  /** Joined in their order; else dots. */
  readonly line?: boolean;
}

export interface PlotLimit {
  readonly label: string;
  readonly y: number;
}

export interface Plot {
  readonly title: string;
  /** Of lines of at most some 75 letters, or the plot becomes wider. */
  readonly subtitle?: string;
  readonly x: PlotAxis;
  readonly y: PlotAxis;
  readonly series: readonly PlotSeries[];
  /** Dashed horizontal lines. */
  readonly limits?: readonly PlotLimit[];
}

type Layer = Extract<TopLevelSpec, { layer: unknown }>['layer'][number];

const width = 640;
const height = 360;

/** Dark enough for white, apart for the colour-blind (Okabe and Ito, without their yellow). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#444444', '#56b4e9', '#e69f00'];
const shapes = ['circle', 'square', 'diamond', 'triangle-up', 'cross', 'triangle-down', 'triangle-right'];
const limitColour = '#b00020';

/** Writes the SVG, and the folder where it is missing. */
export async function writePlot(path: string, plot: Plot): Promise<void> {
  const view = new View(parse(compile(specification(plot)).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${svg}\n`);
}

function specification(plot: Plot): TopLevelSpec {
  const limits = plot.limits ?? [];
  const points = plot.series.flatMap((series) => series.points);
  const names = [...new Set(plot.series.map(({ name }) => name))];
  if (names.length > colours.length) throw new Error(`${names.length} names for ${colours.length} colours`);
  const position = {
    // prettier-ignore
    x: encodeAxis('x', plot.x, points.map(([x]) => x)),
    y: encodeAxis('y', plot.y, [...points.map(([, y]) => y), ...limits.map(({ y }) => y)]),
  };
  const legend = names.length > 1 ? {} : { legend: null };
  const color = { field: 'name', title: null, scale: { domain: names, range: colours }, ...legend };
  const shape = { field: 'name', title: null, scale: { domain: names, range: shapes }, ...legend };

  const layers: Layer[] = [];
  for (const { y, label } of limits) {
    layers.push({
      data: { values: [{ y, label }] },
      mark: { type: 'rule', color: limitColour, strokeDash: [6, 4] },
      encoding: { y: position.y },
    });
  }
  for (const { name, points, line } of plot.series) {
    const data = { values: points.map(([x, y]) => ({ name, x, y })) };
    layers.push(
      line === true
        ? {
            data,
            mark: { type: 'line', strokeWidth: 2 },
            encoding: { ...position, color, order: { value: 0 } },
          }
        : {
            data,
            mark: { type: 'point', filled: true, size: 70, opacity: 1 },
            encoding: { ...position, color, shape },
          },
    );
  }
  // Words come last and twice, first as a white edge, to be readable over lines.
  for (const edge of [{ stroke: 'white', strokeWidth: 4 }, {}]) {
    for (const { y, label } of limits) {
      layers.push({
        data: { values: [{ y, label }] },
        mark: { type: 'text', color: limitColour, align: 'right', x: width - 4, dy: -8, ...edge },
        encoding: { y: position.y, text: { field: 'label' } },
      });
    }
    for (const { name, points } of plot.series) {
      const values = points.flatMap(([x, y, label]) => (label === undefined ? [] : [{ x, y, label }]));
      if (values.length === 0) continue;
      layers.push({
        data: { values },
        mark: { type: 'text', color: colours[names.indexOf(name)], align: 'left', dx: 7, dy: -8, ...edge },
        encoding: { ...position, text: { field: 'label' } },
      });
    }
  }
  return {
    width,
    height,
    background: 'white',
    padding: 12,
    title: { text: plot.title, subtitle: plot.subtitle?.split('\n') ?? '' },
    layer: layers,
    config,
  };
}

const config: Config = {
  font: 'Helvetica, Arial, sans-serif',
  title: { anchor: 'start', offset: 14, fontSize: 16, subtitleColor: '#555555', subtitlePadding: 5 },
  axis: {
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 10,
    gridColor: '#e6e6e6',
  },
  legend: { orient: 'bottom', labelFontSize: 12, labelLimit: 0, columns: 3 },
  text: { fontSize: 11 },
};

/** The same scale and axis for every layer. */
function encodeAxis(
  field: 'x' | 'y',
  { label, log = false, ticks: given }: PlotAxis,
  values: readonly number[],
) {
  if (values.length === 0) throw new Error(`nothing to show on the axis "${label}"`);
  const bad = values.find((value) => !Number.isFinite(value) || (log && value <= 0));
  if (bad !== undefined) throw new Error(`${bad} cannot be shown on the axis "${label}"`);
  const type = 'quantitative' as const;
  const axis = {
    title: label,
    labelExpr: tickLabel,
    ...(given === undefined ? {} : { values: [...given] }),
  };
  const least = Math.min(...values);
  const most = Math.max(...values);
  if (!log) return { field, type, axis, scale: { domain: [Math.min(0, least), most], nice: true } };
  const ticks = logTicks(least, most);
  const domain = [ticks[0], ticks[ticks.length - 1]];
  return { field, type, axis: { ...axis, values: ticks }, scale: { type: 'log' as const, domain } };
}

/** 1,000,000 is 1M and a hundred thousandth 1e-5; what lies between 0.001 and 1,000 is written out. */
const tickLabel =
  "datum.value == 0 ? '0' : abs(datum.value) < 0.000999 ? format(datum.value, '.0e') : format(datum.value, abs(datum.value) < 1000 ? '~r' : '~s')";

/** From just below `least` to just above `most`: powers of ten, or where these are few, 1, 2 and 5 of each. */
function logTicks(least: number, most: number): number[] {
  const steps = most / least < 200 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(least)); ; power += 1) {
    for (const step of steps) {
      // Parsed, since 10 ** -5 is not 0.00001.
      const tick = Number(`${step}e${power}`);
      // The last tick that is not above all values is the first one.
      if (tick <= least) ticks.length = 0;
      ticks.push(tick);
      if (tick >= most && ticks.length > 1) return ticks;
    }
  }
}
