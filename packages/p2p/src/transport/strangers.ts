// Who knocks: connections that have not shown yet whose they are. There are so many of them at once, from one address and
// in all, and each address may try so often, so that those who are no nodes of the subnet cost little. Section 21.1.
import { Quota } from "../quota.ts";
import type { TlsLimits } from "./limits.ts";

interface Address {
  readonly attempts: Quota;
  open: number;
}

/** Addresses that are remembered while none of their connections is open. */
const KEPT_ADDRESSES = 4096;

export class Strangers {
  readonly #limits: TlsLimits;
  readonly #addresses = new Map<string, Address>();
  #open = 0;
  refused = 0;

  constructor(limits: TlsLimits) {
    this.#limits = limits;
  }

  /** Undefined: the connection is refused. Else to be called once when it has shown whose it is, or has ended. */
  enter(name: string): (() => void) | undefined {
    const { attemptsPerSecond, attemptsAtOnce, strangers, strangersPerAddress } = this.#limits;
    const address = this.#addresses.get(name) ?? { attempts: new Quota(attemptsPerSecond, attemptsAtOnce), open: 0 };
    this.#keep(name, address);
    address.attempts.refill(Number(process.hrtime.bigint()));
    if (this.#open >= strangers || address.open >= strangersPerAddress || !address.attempts.take(1)) {
      this.refused++;
      return undefined;
    }
    this.#open++;
    address.open++;
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#open--;
      address.open--;
    };
  }

  /** The one that was heard of longest ago is forgotten first; at worst it may try anew. */
  #keep(name: string, address: Address): void {
    this.#addresses.delete(name);
    this.#addresses.set(name, address);
    if (this.#addresses.size <= KEPT_ADDRESSES) return;
    for (const [other, { open }] of this.#addresses) {
      if (open > 0) continue;
      this.#addresses.delete(other);
      return;
    }
  }
}
