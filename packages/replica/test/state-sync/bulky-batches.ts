// Batches of a subnet whose state has 8 MiB, so that to fetch it takes many questions.
import type { Batch } from "@atoll/types";
import * as u from "../../../execution/test/canisters/universal.ts";
import { IDS, ingress } from "../subnet.ts";
import { agreedBatches } from "./nodes.ts";

export const MIB = 1024 * 1024;

/** Heights with checkpoints at 6, 12, ...: the third block writes 8 MiB, and one block of each later interval some of it. */
export function bulkyBatches(): Batch[] {
  const [id] = IDS as [(typeof IDS)[0]];
  const write = (region: number, byte: number): u.Code => u.stableWrite(region * MIB, u.repeated(byte, u.int(MIB)));
  return agreedBatches(4, 24, 6).map((batch) => {
    if (batch.height <= 2) return batch;
    const programs: Record<number, u.Code> = {
      3: u.seq(u.stableGrow(128), ...Array.from({ length: 8 }, (_, i) => write(i, i + 1)), u.reply()),
      8: u.seq(write(5, 99), u.reply()),
      14: u.seq(write(6, 98), u.reply()),
    };
    const program = programs[batch.height];
    return { ...batch, ingress: program === undefined ? [] : [ingress(batch.time, id, "update", program)] };
  });
}
