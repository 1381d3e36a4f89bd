const lib = new URL('../../dist/lib/', import.meta.url)
const { HeaderStrategy } = await import(new URL('identification/strategies/header.js', lib))
const { Scope } = await import(new URL('scope/scope.js', lib))
const { TenantRoutes } = await import(new URL('scope/tenant-routes.js', lib))
const { Upgrades } = await import(new URL('app/upgrades.js', lib))
const { Refusals } = await import(new URL('tenants/refusals.js', lib))
const { Generation } = await import(new URL('tenants/generation.js', lib))
const { Lease } = await import(new URL('leases/lease.js', lib))
const { Leases } = await import(new URL('leases/leases.js', lib))
const { TenantRegistry } = await import(new URL('tenants/registry.js', lib))
const { Retirement } = await import(new URL('tenants/retirement.js', lib))

/**
 * Each takes one guard off, from outside, and says which kinds of errors show it. A run that finds none of them proves nothing.
 * `patch` changes a class and returns what undoes it; `world` changes the tenants or the app.
 */
export const SABOTAGES = {
  'what a handler uses is in one variable for all tenants': {
    finds: ['crossTalk'],
    world: world => { world.serviceOf = () => world.lastService }
  },
  'the tenant that a request waits for is in one variable for all': {
    finds: ['crossTalk'],
    patch: () => {
      let asked
      return replace(TenantRegistry, 'claim', claim => function (id, holder) {
        const answer = claim.call(this, asked = id, holder)
        return answer instanceof Promise ? answer.then(lease => asked === id ? lease : (lease.release(), claim.call(this, asked, holder))) : answer
      })
    }
  },
  'a connection keeps the tenant of its first request': {
    finds: ['crossTalk', 'wrongDoor'],
    patch: () => {
      const first = new WeakMap()
      return replace(HeaderStrategy, 'extractTenantId', extract => function (request) {
        const { socket } = request.raw
        if (!first.has(socket)) first.set(socket, extract.call(this, request))
        return first.get(socket)
      })
    }
  },
  'an upgrade goes to the tenant that listened first': {
    finds: ['crossTalk'],
    patch: () => {
      let first
      return replace(Upgrades, 'passOn', passOn => function (server, reply) {
        if (server.listenerCount('upgrade') > 0) first ??= server
        return passOn.call(this, first ?? server, reply)
      })
    }
  },
  'the tenant of every scope is the one loaded first': {
    finds: ['crossTalk'],
    patch: () => {
      let first
      return replace(Scope, 'bind', bind => function (instance, tenant) { bind.call(this, instance, first ??= tenant) })
    }
  },
  'log lines carry the id of the tenant loaded last': {
    finds: ['crossTalk'],
    world: world => {
      world.prepare = app => {
        const { child } = app.log
        let last
        app.log.child = function (bindings, ...others) {
          last = bindings.tenantId ?? last
          const log = child.call(this, bindings, ...others)
          log.setBindings({ lastTenant: last })
          const makeChild = log.child
          log.child = (bindings, ...others) => makeChild.call(log, { ...bindings, lastTenant: last }, ...others)
          return log
        }
      }
    }
  },
  'the hook hands over whatever route the app has': {
    finds: ['wrongDoor'],
    patch: () => replace(TenantRoutes, 'routeFor', routeFor => function (request) { return routeFor.call(this, request, null) })
  },
  'the fast path takes whatever route the app has': {
    finds: ['wrongDoor'],
    patch: () => replace(TenantRoutes, 'firstRouteFor', () => function (raw) { return this.routeFor({ raw }, null) })
  },
  'a lease is released at once': {
    finds: ['usedAfterClose'],
    patch: () => replace(Leases, 'acquire', acquire => function (holder) {
      const lease = acquire.call(this, holder)
      lease.release()
      return lease
    })
  },
  'a generation that ends waits for nobody': {
    finds: ['usedAfterClose'],
    patch: () => replace(Generation, 'drain', () => async function () { return { generation: this.number, drained: true, forced: [] } })
  },
  'a lease is never released': {
    finds: ['leasesLeft'],
    // They are counted at the end.
    requests: 200,
    patch: () => replace(Lease, 'release', () => function () {})
  },
  'suspended tenants are admitted': {
    finds: ['suspendedServed'],
    patch: () => replace(Refusals, 'suspend', () => function () {})
  },
  'an id that nobody has is served by another tenant': {
    finds: ['wrongDoor', 'crossTalk'],
    patch: () => replace(TenantRegistry, 'claim', claim => function (id, holder) { return claim.call(this, id.replace(/^nobody-.*/, 'tenant-1'), holder) })
  },
  'nobody catches what a close throws': {
    finds: ['uncaught'],
    patch: ({ findings }) => replace(Retirement, 'close', () => async function (generation) {
      await generation.close(1000)
      // Found once, it is over: what still ends when the run does would end this process.
      if (findings.counts.uncaught === 0) throw new Error('a close failed')
    })
  }
}

function replace (Class, name, make) {
  const original = Class.prototype[name]
  if (typeof original !== 'function') throw new Error(`${Class.name} has no ${name}() any more: let the sabotage take off what guards in its place`)
  Class.prototype[name] = make(original)
  return () => { Class.prototype[name] = original }
}
