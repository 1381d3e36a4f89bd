import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { combinedSource } from '../../lib/sources/combined.ts'
import { testTenantSource } from '../../lib/sources/conformance/conformance.ts'
import { directorySource } from '../../lib/sources/directory.ts'
import { postgresTenants } from '../../lib/sources/postgres/postgres.ts'
import { openDatabase } from '../fixtures/postgres/database.ts'
import { BatchSource, testedAs, TestSource } from '../fixtures/test-source.ts'
import type { TestedSource, WantedTenant } from '../../lib/sources/conformance/conformance.ts'
import type { LoadedTenant, TenantChange, TenantDefinition, TenantSource } from '../../types/index.ts'

/** The names of the conformance tests that fail for a source. */
async function failures (prepare: () => TestedSource, options?: { patience: number }): Promise<string[]> {
  const running: Array<Promise<string | null>> = []
  testTenantSource((name, run) => running.push(run().then(() => null, () => name)), prepare, options)
  return (await Promise.all(running)).filter(name => name !== null)
}

t.test('a correct source passes, with and without the optional methods', async t => {
  t.strictSame(await failures(() => testedAs(new TestSource())), [])
  t.strictSame(await failures(() => testedAs(new class extends TestSource {
    override tell (change?: TenantChange): void {
      super.tell()
      super.tell(change?.active === true ? { id: change.id } : change)
    }

    override watch (changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]): () => void {
      changed()
      return super.watch(changed, loaded)
    }
  }())), [])
  t.strictSame(await failures(() => {
    const source = new TestSource()
    const { get, list } = source
    return { source: { get: get.bind(source), list: list.bind(source) }, put: tenant => source.put(tenant) }
  }), [])
})

t.test('each fault is found', async t => {
  const [GET, MANY, LIST, HOST, WATCH, NAMES, SUSPENDED, BROKEN] = [/get\(\)/, /getMany/, /list/, /resolveHost/, /watch/, /names hosts/, /suspended/, /never "not found"/]
  const faults: Array<[what: string, found: RegExp[], faulty: () => TestSource]> = [
    ['ids in any case', [GET], () => new class extends TestSource {
      override get (id: string): TenantDefinition | null { return super.get(id.toLowerCase()) as TenantDefinition | null }
    }()],
    ['an object that inherits names', [GET], () => new class extends TestSource {
      override get (id: string): TenantDefinition | null { this.check(); return Object.fromEntries(this.tenants)[id] ?? null }
    }()],
    ['a relative path', [GET], () => new class extends TestSource {
      override put (tenant: WantedTenant): void { super.put({ ...tenant, dir: 'tenants' } as WantedTenant) }
    }()],
    ['ids that are found together in any case', [MANY], () => new class extends BatchSource {
      override async getMany (ids: readonly string[]) {
        const found = await super.getMany(ids.map(id => id.toLowerCase()))
        return new Map(ids.flatMap(id => found.has(id.toLowerCase()) ? [[id, found.get(id.toLowerCase()) as TenantDefinition]] : []))
      }
    }()],
    ['ids that are lost where many are asked for', [MANY], () => new class extends BatchSource {
      override getMany (ids: readonly string[]) { return super.getMany(ids.slice(0, 1_000)) }
    }()],
    ['an outage that is "not found" when several are asked for', [BROKEN], () => new class extends BatchSource {
      override async getMany (ids: readonly string[]) { return this.broken ? new Map() : super.getMany(ids) }
    }()],
    ['an id twice', [LIST], () => new class extends TestSource {
      override async * list (): AsyncIterable<string> { yield * super.list(); yield * this.tenants.keys() }
    }()],
    ['a wrong count', [LIST], () => new class extends TestSource {
      override count (): number { return 7 }
    }()],
    ['a wildcard that wins', [HOST], () => new class extends TestSource {
      override resolveHost (host: string): string | null { return super.resolveHost(host.replace(/^[^.]+/, 'any')) }
    }()],
    ['everybody at home', [HOST], () => new class extends TestSource {
      override resolveHost (host: string): string { return super.resolveHost(host) ?? 'acme' }
    }()],
    ['a version that stays', [WATCH], () => new class extends TestSource {
      override get (id: string): TenantDefinition | null {
        const found = super.get(id) as TenantDefinition | null
        return found === null ? null : { ...found, version: '1' }
      }
    }()],
    ['hosts that are given up in secret', [NAMES], () => new class extends TestSource {
      override tell (change?: TenantChange): void { super.tell(change && { ...change, hosts: this.tenants.get(change.id)?.hosts ?? [] }) }
    }()],
    ['a suspension that nobody sees', [SUSPENDED], () => new class extends TestSource {
      override get (id: string): TenantDefinition | null { return { ...super.get(id) as TenantDefinition, suspended: false } }
    }()],
    ['an outage that is "not found"', [BROKEN], () => new class extends TestSource {
      override get (id: string): TenantDefinition | null { return this.broken ? null : super.get(id) as TenantDefinition | null }
    }()],
    ['an outage that leaves a mark', [BROKEN], () => new class extends TestSource {
      override check (): void { if (this.broken) { this.tenants.clear(); super.check() } }
    }()]
  ]
  for (const [what, expected, faulty] of faults) {
    const found = await failures(() => testedAs(faulty()))
    for (const name of expected) t.ok(found.some(failure => name.test(failure)), `${what}: ${found}`)
  }
})

t.test('a source must announce that a tenant is deleted, but not that one is added', async t => {
  const found = await failures(() => testedAs(new class extends TestSource {
    override tell (): void { super.tell() }
  }()), { patience: 1 })
  t.strictSame(found, ['watch() announces tenants that are added, changed and removed', 'a suspended tenant is announced, and get() returns it as suspended'])
})

t.test('a change that is not announced is found', async t => {
  const found = await failures(() => testedAs(new class extends TestSource {
    override tell (_change?: TenantChange): void {}
  }()), { patience: 1 })
  t.strictSame(found.map(name => name.split(' ').slice(0, 2).join(' ')), ['watch() announces', 'a change', 'a suspended'])
})

t.test('the source of folders passes', async t => {
  const dir = t.testdir()
  testTenantSource((name, run) => t.test(name, run), async () => {
    await mkdir(dir, { recursive: true })
    const known: Record<string, readonly string[]> = {}
    return {
      clean: () => rm(dir, { recursive: true }),
      source: directorySource(dir),
      put: async ({ id, hosts = [] }) => {
        await mkdir(join(dir, id), { recursive: true })
        await writeFile(join(dir, 'hosts.json'), JSON.stringify(Object.assign(known, { [id]: hosts })))
      },
      remove: id => rm(join(dir, id), { recursive: true }),
      breakDown: () => rm(dir, { recursive: true }),
      repair: () => mkdir(join(dir, 'acme'), { recursive: true })
    }
  })
})

t.test('the source of PostgreSQL passes, alone and combined with another', async t => {
  const database = await openDatabase(t)
  const put = (schema: string) => ({ id, config = {}, hosts = [], suspended = false }: WantedTenant) => database.query(
    `insert into ${schema}.tenants (id, config, hosts, active) values ($1, $2, $3, $4)
      on conflict (id) do update set config = excluded.config, hosts = excluded.hosts, active = excluded.active`, [id, config, hosts, !suspended])

  const prepare = async (wrap: (source: TenantSource) => TenantSource): Promise<TestedSource> => {
    const schema = database.newSchema()
    const source = postgresTenants({ connectionString: database.connectionString, schema })
    await source.migrate()
    return {
      source: wrap(source),
      put: put(schema),
      remove: id => database.query(`delete from ${schema}.tenants where id = $1`, [id]),
      suspends: true,
      breakDown: () => database.stop(),
      repair: () => database.start()
    }
  }
  testTenantSource((name, run) => t.test(name, run), () => prepare(source => source))
  testTenantSource((name, run) => t.test(`${name}, among others`, run), () => prepare(source => combinedSource([new TestSource(), source])))
})
