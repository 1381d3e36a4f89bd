import { startWorkers } from './workers.js'
import { median } from './median.js'

/**
 * The size of the space for young objects, in MB, which V8 otherwise sizes by what a process has been through: left to itself the same
 * app takes 16 or 22 µs a request.
 */
export const YOUNG_SPACE = ['--min-semi-space-size=16', '--max-semi-space-size=16']

/**
 * Measures each of `names` in a process of its own, which is started for this measurement and ended after it: a process that idles between
 * its measurements differs from a fresh one by up to 20 %. The names take turns, and every other turn has the opposite order, so that
 * none has always the same one before it. Returns the measurements of each name, by its name.
 *
 * @param file the worker, which calls `serve`
 * @param starts the number of processes of a name
 * @param measure takes a function that asks the process, and the name
 */
export async function measureStarts (file, names, { starts, execArgv = YOUNG_SPACE }, measure = ask => ask()) {
  const measured = Object.fromEntries(names.map(name => [name, []]))
  for (let turn = 0; turn < Math.max(...names.map(starts)); turn++) {
    const due = names.filter(name => turn < starts(name))
    for (const name of turn % 2 === 0 ? due : due.toReversed()) {
      const workers = await startWorkers(file, [name], execArgv)
      measured[name].push(await measure(question => workers.ask(name, question), name))
      await workers.end()
    }
  }
  return measured
}

/** The least of some numbers, the middle one, and both ends as text, which one number has not. */
export function summarize (numbers) {
  const [min, max] = [Math.min(...numbers), Math.max(...numbers)]
  return { min, median: median(numbers), spread: numbers.length > 1 ? `${short(min)}–${short(max)}` : undefined }
}

/**
 * How many times another's the measurements of one are, in the order of their turns. The spread is that of the ratios within a turn, whose
 * two processes ran a few seconds apart.
 */
export function ratios (ones, others) {
  const { spread } = summarize(ones.slice(0, others.length).map((one, turn) => one / others[turn]))
  return { min: Math.min(...ones) / Math.min(...others), median: median(ones) / median(others), spread }
}

/** Microseconds of processor time that this process, with all its threads, works for one of so many requests. */
export async function processorTime (requests, work) {
  const before = process.cpuUsage()
  await work(requests)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}

function short (number) {
  return String(Number(number.toPrecision(3)))
}
