// The registry of a run: one list of records, which every node comes to know sooner or later, each in its own time. What is in
// force is then agreed on in blocks. Section 4.
import type { CatchUpPackage } from "@atoll/consensus";
import type { SharedRegistry } from "@atoll/replica/consensus/registry-exchange";
import type { NodeRecord, RegistryRecord, Time } from "@atoll/types";
import type { Random } from "./random.ts";
import { MS, type Scheduler, SECOND, type VirtualTime } from "./scheduler.ts";
import type { SimClock } from "./sim-clock.ts";

export class SimRegistry {
  readonly #scheduler: Scheduler;
  readonly #records: { readonly record: RegistryRecord; readonly since: VirtualTime }[] = [];

  constructor(first: RegistryRecord, scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.#records.push({ record: first, since: scheduler.now });
  }

  get latest(): RegistryRecord {
    return this.#records[this.#records.length - 1]?.record as RegistryRecord;
  }

  /** A new version, which differs from the latest in `change`. */
  publish(change: Partial<Omit<RegistryRecord, "version">>): void {
    const record = { ...this.latest, ...change, version: this.latest.version + 1 };
    this.#scheduler.note(`registry version ${record.version}`);
    this.#records.push({ record, since: this.#scheduler.now });
  }

  /** The version of the protocol that is in force from a catch-up package on. */
  protocolVersionAt({ block }: CatchUpPackage): string | undefined {
    if (block.payload.kind !== "summary") return undefined;
    return this.#records[block.payload.summary.registryVersion - 1]?.record.protocolVersion;
  }

  /** Everybody who is a node of the subnet in some version. */
  everyNode(): readonly NodeRecord[] {
    const known = new Map(this.#records.flatMap(({ record }) => record.nodes.map((node) => [node.nodeId, node])));
    return [...known.values()];
  }

  /** What a process that starts now knows and will know: of each version some time later, by chance; not from its peers. */
  view(clock: SimClock, random: Random): SharedRegistry {
    const begun = this.#scheduler.now;
    const delays = new Map<number, number>();
    const since = new Map<number, Time>();
    const isKnown = (place: number): boolean => {
      const entry = this.#records[place];
      if (entry === undefined) return false;
      if (entry.since <= begun) return true;
      let delay = delays.get(place);
      if (delay === undefined) {
        delay = random.between(10 * MS, SECOND);
        delays.set(place, delay);
      }
      return entry.since + delay <= this.#scheduler.now;
    };
    const record = (version: number): RegistryRecord | undefined =>
      isKnown(version - 1) ? this.#records[version - 1]?.record : undefined;
    return {
      question: () => new Uint8Array(),
      answer: () => undefined,
      takeAnswer: () => ({ kind: "known" }),
      latestVersion() {
        let version = 0;
        while (isKnown(version)) version++;
        return version;
      },
      record,
      knownSince(version) {
        if (record(version) === undefined) return undefined;
        const known = since.get(version) ?? clock.now().monotonic;
        since.set(version, known);
        return known;
      },
    };
  }
}
