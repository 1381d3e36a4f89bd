import { EventEmitter } from 'node:events'

const socket = new EventEmitter()

/** What Fastify reads of an `IncomingMessage` whose request has no body. */
class FakeRequest extends EventEmitter {
  method = 'GET'
  httpVersionMajor = 1
  socket = socket

  constructor (url, headers, rawHeaders) {
    super()
    this.url = url
    this.headers = headers
    this.rawHeaders = rawHeaders
  }
}

/** What Fastify calls of a `ServerResponse`: it keeps the status and the body, and closes when it has ended. */
class FakeResponse extends EventEmitter {
  statusCode = 200
  headersSent = false
  writableEnded = false
  destroyed = false

  constructor (req) {
    super()
    this.req = req
  }

  getHeader () {}

  writeHead (statusCode) {
    this.statusCode = statusCode
    this.headersSent = true
  }

  end (body) {
    this.body = body
    this.writableEnded = true
    this.emit('finish')
    this.emit('close')
  }
}

/** Sends a request to an app as its HTTP server would, without a socket, a parser or the kernel. Answers with the response. */
export function request (app, url, headers, rawHeaders = []) {
  const req = new FakeRequest(url, headers, rawHeaders)
  const res = new FakeResponse(req)
  app.server.emit('request', req, res)
  return res
}

/** Resolves when a response has closed. */
export function closed (response) {
  return new Promise(resolve => response.once('close', resolve))
}
