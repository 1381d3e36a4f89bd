import cookie from '@fastify/cookie'
import flash from '@fastify/flash'
import requestContext from '@fastify/request-context'
import secureSession from '@fastify/secure-session'
import session from '@fastify/session'
import t from 'tap'
import type { FastifyPluginAsync, LightMyRequestResponse } from 'fastify'
import { tryAll } from '../fixtures/compatibility/suite.ts'
import type { Owner } from '../fixtures/compatibility/suite.ts'

interface Visits { get (key: string): unknown, set (key: string, value: unknown): void, delete? (): void, destroy? (): Promise<void> }

function cookiesOf (response: LightMyRequestResponse): Record<string, string> {
  return Object.fromEntries(response.cookies.map(({ name, value }) => [name, value]))
}

/** Counts the visits of a session. */
const counting: FastifyPluginAsync = async scope => {
  scope.get('/visit', async request => {
    const session = request.getDecorator<Visits>('session')
    session.set('visits', Number(session.get('visits') ?? 0) + 1)
    return { visits: session.get('visits') }
  })
  scope.get('/leave', async request => {
    const session = request.getDecorator<Visits>('session')
    session.delete?.()
    await session.destroy?.()
    return { left: true }
  })
}

const key = (owner: Owner): Buffer => Buffer.alloc(32, owner)

t.test('sessions', async t => tryAll(t, 'sessions', {
  '@fastify/cookie': {
    plugin: owner => async app => { await app.register(cookie, { secret: `of ${owner}` }) },
    routes: async scope => {
      scope.post('/login', async (_request, reply) => {
        reply.setCookie('user', 'ann', { signed: true, path: '/' })
        return { ok: true }
      })
      scope.get('/me', async request => request.unsignCookie(request.cookies['user'] ?? ''))
      scope.post('/logout', async (_request, reply) => {
        reply.clearCookie('user', { path: '/' })
        return { ok: true }
      })
    },
    works: async (t, { send }) => {
      const [signed, ...more] = (await send({ method: 'POST', url: '/login' })).cookies
      t.match(signed, { name: 'user', value: /^ann\../, path: '/' })
      t.same(more, [])
      t.match((await send({ url: '/me', cookies: { user: signed?.value ?? '' } })).json(), { valid: true, value: 'ann' })
      t.match((await send({ url: '/me', cookies: { user: 'ann.forged' } })).json(), { valid: false, value: null })
      t.match((await send({ method: 'POST', url: '/logout' })).cookies, [{ name: 'user', value: '', expires: new Date(0) }])
    },
    bare: async scope => { scope.get('/cookies', async request => ({ cookies: String(request.cookies) })) },
    decorates: ['request.cookies', 'reply.setCookie', 'app.signCookie'],
    absent: async (t, { send }) => { t.same((await send({ url: '/cookies', cookies: { user: 'ann' } })).json(), { cookies: 'undefined' }) },
    apart: async (t, acme, globex) => {
      const cookies = cookiesOf(await acme.send({ method: 'POST', url: '/login' }))
      t.match((await globex.send({ url: '/me', cookies })).json(), { valid: false, value: null })
    }
  },
  '@fastify/flash': {
    plugin: owner => async app => {
      await app.register(secureSession, { key: key(owner), cookie: { path: '/' } })
      await app.register(flash)
    },
    routes: async scope => {
      scope.get('/do', async (request, reply) => {
        request.flash('info', 'hello %s', 'ann')
        return reply.redirect('/done')
      })
      scope.get('/done', async (_request, reply) => reply.flash('info'))
    },
    works: async (t, { send }) => {
      const cookies = cookiesOf(await send('/do'))
      const read = await send({ url: '/done', cookies })
      t.same(read.json(), ['hello ann'])
      t.same((await send({ url: '/done', cookies: cookiesOf(read) })).json(), [], 'once')
    },
    decorates: ['request.flash', 'reply.flash'],
    apart: async (t, acme, globex) => {
      t.same((await globex.send({ url: '/done', cookies: cookiesOf(await acme.send('/do')) })).json(), [])
    }
  },
  '@fastify/request-context': {
    plugin: owner => async app => {
      await app.register(requestContext, { defaultStoreValues: ({ id }: { id: string }) => ({ owner, id }) as object })
      app.addHook('preHandler', async request => request.requestContext.set('user' as never, 'ann' as never))
    },
    routes: async scope => {
      const later = async (): Promise<unknown> => {
        await new Promise(resolve => setImmediate(resolve))
        return scope.requestContext.getStore()
      }
      scope.post('/context', async request => ({ store: await later(), id: request.id }))
    },
    works: async (t, { send }, owner) => {
      const answers = await Promise.all([1, 2].map(async () => (await send({ method: 'POST', url: '/context', payload: { a: 1 } })).json()))
      for (const { store, id } of answers) t.same(store, { owner, id, user: 'ann' })
      t.not(answers[0]?.id, answers[1]?.id)
    },
    bare: async scope => { scope.get('/context', async request => ({ there: 'requestContext' in request })) },
    decorates: ['app.requestContext', 'request.requestContext'],
    absent: async (t, { send }) => { t.same((await send('/context')).json(), { there: false }) }
  },
  '@fastify/secure-session': {
    plugin: owner => async app => { await app.register(secureSession, { key: key(owner), cookie: { path: '/' } }) },
    routes: counting,
    works: async (t, { send }) => {
      const first = await send('/visit')
      t.same(first.json(), { visits: 1 })
      const second = await send({ url: '/visit', cookies: cookiesOf(first) })
      t.same(second.json(), { visits: 2 })
      const left = await send({ url: '/leave', cookies: cookiesOf(second) })
      t.match(left.cookies, [{ name: 'session', value: '' }])
    },
    decorates: ['app.createSecureSession', 'request.session'],
    apart: async (t, acme, globex) => {
      t.same((await globex.send({ url: '/visit', cookies: cookiesOf(await acme.send('/visit')) })).json(), { visits: 1 })
    }
  },
  '@fastify/session': {
    plugin: owner => async app => {
      await app.register(cookie)
      await app.register(session, { secret: `the secret of ${owner} of 32 characters`, cookie: { secure: false } })
    },
    routes: counting,
    works: async (t, { send }) => {
      const first = await send('/visit')
      const cookies = cookiesOf(first)
      t.same([first.json(), (await send({ url: '/visit', cookies })).json()], [{ visits: 1 }, { visits: 2 }])
      await send({ url: '/leave', cookies })
      t.same((await send({ url: '/visit', cookies })).json(), { visits: 1 })
    },
    decorates: ['request.session', 'request.sessionStore', 'app.decryptSession'],
    apart: async (t, acme, globex) => {
      t.same((await globex.send({ url: '/visit', cookies: cookiesOf(await acme.send('/visit')) })).json(), { visits: 1 })
    },
    note: "A session that names the tenant needs `order: 'registered'`."
  }
}))
