import { fork } from 'node:child_process'
import { once } from 'node:events'

/**
 * Runs `file` in a process of its own for each of the names, so that none is slower for what V8 has learnt from another. Returns
 * `ask()`, which asks one of them for a measurement, and `end()`, which ends them all and resolves when they have.
 */
export async function startWorkers (file, names, execArgv = []) {
  const workers = new Map(names.map(name => [name, start(file, name, execArgv)]))
  await Promise.all([...workers.values()].map(answer))
  return {
    ask (name, question = null) {
      const worker = workers.get(name)
      worker.send(question)
      return answer(worker)
    },
    async end () {
      await Promise.all([...workers.values()].map(async worker => {
        const ended = once(worker, 'exit')
        worker.disconnect()
        await ended
      }))
    }
  }
}

function start (file, name, execArgv) {
  const worker = fork(file, [name], { execArgv })
  worker.once('exit', code => {
    if (code !== 0) throw new Error(`The worker '${name}' of ${file} ended with code ${code}`)
  })
  return worker
}

async function answer (worker) {
  const [message] = await once(worker, 'message')
  return message
}

/** In a worker: says that it is ready to measure, then answers every question with what `measure` returns. */
export function serve (measure) {
  process.on('message', async question => { process.send(await measure(question)) })
  process.on('disconnect', () => process.exit())
  process.send('ready')
}
