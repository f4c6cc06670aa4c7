// What a role has looked at and found nothing to do with: as long as all of it is the same, it would find nothing again.
// For roles whose look is dear, as to combine shares is. It could be forgotten at any time.
import type { Height } from "@atoll/types";
import type { Change } from "./pool.ts";

/** Heights that are remembered. */
const KEPT = 64;

export class InVain {
  readonly #looked = new Map<Height, readonly unknown[]>();

  /** What `look` gives, or nothing when it gave nothing for the same objects and values before. */
  unlessSame(height: Height, looked: readonly unknown[], look: () => readonly Change[]): readonly Change[] {
    const before = this.#looked.get(height);
    if (before?.length === looked.length && before.every((each, i) => each === looked[i])) return [];
    const changes = look();
    this.#looked.delete(height);
    if (changes.length > 0) return changes;
    if (this.#looked.size === KEPT) this.#looked.delete(this.#looked.keys().next().value as Height);
    this.#looked.set(height, looked);
    return changes;
  }
}
