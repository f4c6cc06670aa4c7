// What a round costs that touches one canister, with 10,000 canisters present against 10, all with the same small
// counter installed. Two processes, one of each size, take turns: in one process the collector would make the small
// subnet pay for the large one.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { canister } from "../packages/execution/test/canisters/build.ts";
import { median, type Row, spread } from "./measure.ts";
import type { RoundCosts, RoundOrder } from "./round-process.ts";

export async function benchRound({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const windows = short ? 1 : 9;
  const rounds = short ? 10 : 2000;
  const { wasm } = await canister("assemblyscript-counter");
  const many = await SubnetProcess.start(short ? 100 : 10_000, wasm);
  const few = await SubnetProcess.start(10, wasm);
  try {
    for (const each of short ? [] : [many, few, many, few]) await each.measure(rounds);
    const pairs: [many: RoundCosts, few: RoundCosts][] = [];
    for (let window = 0; window < windows; window++)
      pairs.push([await many.measure(rounds), await few.measure(rounds)]);
    const cost = (part: keyof RoundCosts) => median(pairs.map(([large]) => large[part])).toFixed(0);
    const ratio = (part: keyof RoundCosts) =>
      median(pairs.map(([large, small]) => large[part] / small[part])).toFixed(2);
    return [
      {
        name: "round",
        what: `a round that touches 1 canister, ${many.canisters} canisters present: execution, state tree and its hash, readers`,
        baseline: "the same with 10 canisters present",
        ...spread(pairs.map(([large, small]) => large.round / small.round)),
        goal: 1.5,
        laterGoal: 1.1,
        notes: [
          `${cost("round")} us of CPU; the signature on the root hash comes on top: ${cost("signature")} us; a certificate ` +
            `of one answer: ${cost("certificate")} us, ratio ${ratio("certificate")}; a checkpoint after one round: ` +
            `${cost("checkpoint")} us, ratio ${ratio("checkpoint")}`,
          `creating and installing a canister: ${many.deployMicroseconds.toFixed(0)} us of CPU`,
        ],
      },
    ];
  } finally {
    many.end();
    few.end();
  }
}

class SubnetProcess {
  readonly canisters: number;
  deployMicroseconds = 0;
  readonly #child: ChildProcess;

  static async start(canisters: number, wasm: Uint8Array): Promise<SubnetProcess> {
    const subnet = new SubnetProcess(canisters);
    subnet.deployMicroseconds = (await subnet.#ask({ kind: "deploy", canisters, wasm })) as number;
    return subnet;
  }

  private constructor(canisters: number) {
    this.canisters = canisters;
    this.#child = fork(fileURLToPath(new URL("round-process.ts", import.meta.url)), { serialization: "advanced" });
  }

  measure(rounds: number): Promise<RoundCosts> {
    return this.#ask({ kind: "measure", rounds }) as Promise<RoundCosts>;
  }

  end(): void {
    this.#child.disconnect();
  }

  #ask(order: RoundOrder): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`a subnet's process ended with ${code}`));
      this.#child.once("exit", onExit);
      this.#child.once("message", (answer) => {
        this.#child.off("exit", onExit);
        resolve(answer);
      });
      this.#child.send(order);
    });
  }
}
