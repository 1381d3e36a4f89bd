const WIDTH = 900
const HEIGHT = 460
const LEFT = 70
const RIGHT = 340
const TOP = 50
const BOTTOM = 50
/** Of Okabe and Ito, whom those who see few colours can tell apart. */
const COLOURS = ['#000000', '#0072b2', '#e69f00', '#d55e00', '#009e73', '#56b4e9', '#cc79a7', '#7f7f7f', '#8a6d00', '#5e3c99', '#a50026']

/**
 * A plot of lines as SVG, both axes logarithmic.
 *
 * @param labels `title`, `x` and `y`
 * @param series the points `[x, y]` of each line, by its name
 */
export function plot ({ title, x, y }, series) {
  const points = Object.values(series).flat()
  const across = scale(points.map(([x]) => x), LEFT, WIDTH - RIGHT)
  const up = scale(points.map(([, y]) => y), HEIGHT - BOTTOM, TOP)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" role="img">
<title>${escape(title)}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
${text(LEFT, 25, title, 'font-size="16" font-weight="bold"')}
${across.ticks.map(tick => line([tick.at, TOP], [tick.at, HEIGHT - BOTTOM]) + text(tick.at, HEIGHT - BOTTOM + 18, tick.label, 'text-anchor="middle"')).join('\n')}
${up.ticks.map(tick => line([LEFT, tick.at], [WIDTH - RIGHT, tick.at]) + text(LEFT - 8, tick.at + 4, tick.label, 'text-anchor="end"')).join('\n')}
${text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x, 'text-anchor="middle"')}
${text(0, 0, y, `text-anchor="middle" transform="translate(18 ${HEIGHT / 2}) rotate(-90)"`)}
${Object.entries(series).map(([name, points], index) => drawn(name, points.map(([x, y]) => [across.at(x), up.at(y)]), index)).join('\n')}
</svg>
`
}

/** Powers of ten around the values, from one end of an axis to the other. */
function scale (values, from, to) {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))
  const at = value => round(from + (Math.log10(value) - first) / (last - first) * (to - from))
  const decades = Array.from({ length: last - first + 1 }, (_, index) => Number(`1e${first + index}`))
  return { at, ticks: decades.map(value => ({ at: at(value), label: value.toLocaleString('en') })) }
}

/** A line with its points, and its name in the legend. */
function drawn (name, points, index) {
  const colour = COLOURS[index % COLOURS.length]
  const legend = TOP + 10 + index * 22
  return [
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map(point => point.join(',')).join(' ')}"/>`,
    ...[...points, [WIDTH - RIGHT + 22, legend - 4]].map(([x, y]) => `<circle cx="${x}" cy="${y}" r="4" fill="${colour}"/>`),
    text(WIDTH - RIGHT + 34, legend, name)
  ].join('')
}

function line ([x1, y1], [x2, y2]) {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#ddd"/>`
}

function text (x, y, content, attributes = '') {
  return `<text x="${x}" y="${y}" ${attributes}>${escape(content)}</text>`
}

function round (number) {
  return Math.round(number * 10) / 10
}

function escape (content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
