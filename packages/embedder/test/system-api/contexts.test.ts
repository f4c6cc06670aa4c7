// Every System API function in every kind of execution: exactly those of the specification's list are allowed, and the
// others are refused with code, words and advice of the replica. Both widths; also modules without a memory.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CONTEXTS, input, moduleOf, oneCall, runnable } from "./executing.ts";
import { type SpecifiedFunction, specified } from "./specification.ts";

const ADVICE =
  "Check the ICP documentation to make sure APIs are being called in the correct message types. See documentation: " +
  "https://internetcomputer.org/docs/current/references/execution-errors#calling-a-system-api-from-the-wrong-mode";

/** The replica spells these two with a dot. */
const spelled = (name: string) => (/^(root_key|subnet_self)_copy$/.test(name) ? `ic0.${name}` : `ic0_${name}`);

const refusal = (name: string, called: string) =>
  `IC0504 Error from Canister rdmx6-jaaaa-aaaaa-aaadq-cai: Canister violated contract: "${spelled(name)}" cannot be ` +
  `executed in ${called} mode.\n${ADVICE}`;

for (const width of [32, 64] as const) {
  describe(`${width}-bit`, () => {
    test("the table names each function once, and all contexts", () => {
      const names = specified(width).map(({ name }) => name);
      assert.equal(new Set(names).size, names.length);
      assert.equal(names.length, width === 32 ? 76 : 67);
      for (const { name, contexts } of specified(width)) {
        for (const context of contexts) assert.ok(context in CONTEXTS, `${name}: ${context}`);
      }
    });

    for (const specifiedFunction of specified(width)) {
      test(`${specifiedFunction.name} may be called where the specification says`, () => {
        checkContexts(width, specifiedFunction);
      });
    }

    test("without a memory, functions that use one say so", () => {
      const usesHeap = ({ name, params }: SpecifiedFunction) =>
        params.includes("P") && name !== "call_on_cleanup" && name !== "env_var_name_size";
      const wordings = new Map<string, boolean>();
      for (const each of specified(32)) {
        if (each.name.startsWith("stable")) continue;
        const { declared, code } = oneCall(32, each);
        const { told } = runnable(moduleOf(32, declared, code, "")).run(input(CONTEXTS.U?.[0] as never));
        wordings.set(each.name, told.includes("Canister violated contract: WebAssembly module must define memory.\n"));
        assert.equal(wordings.get(each.name), usesHeap(each), `${each.name}: ${told}`);
      }
    });
  });
}

function checkContexts(width: 32 | 64, specifiedFunction: SpecifiedFunction): void {
  const { declared, code } = oneCall(width, specifiedFunction);
  const module = runnable(moduleOf(width, declared, code));
  const certificate = { dataCertificate: Uint8Array.of(1) };
  for (const [context, kinds] of Object.entries(CONTEXTS)) {
    for (const kind of kinds) {
      const { told } = module.run(input(kind, context === "NRQ" || context === "CQ" ? certificate : {}));
      const refused = refusal(specifiedFunction.name, kind.called);
      if (specifiedFunction.contexts.has(context))
        assert.ok(!told.includes('" cannot be executed in'), `${context}: ${told}`);
      else assert.equal(told, refused, context);
    }
  }
}
