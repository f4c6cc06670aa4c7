// What each System API function gives, and with which words it refuses: those of the replica, down to its own slips,
// because that is what people search for and programs match on. Specification, "System API"; checklist 3.3 and 3.4.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canisterIdFromIndex, MAX_CALL_TIMEOUT_SECONDS, type PrincipalId } from "@atoll/types";
import { CALLER, CONTEXTS, type Context, input, moduleOf, oneCall, type Ran, runnable } from "./executing.ts";
import { specifiedFunction, type Width } from "./specification.ts";

type Overrides = Parameters<typeof input>[1];
type Arg = number | bigint;

const PAGE = 65_536;
const FAR = 65_530;
const TOOLCHAIN =
  "If you are running this canister in a test environment (e.g., dfx), make sure the test environment is up to date. " +
  "Otherwise, this is likely an error with the compiler/CDK toolchain being used to build the canister. Please report " +
  "the error to IC devs on the forum: https://forum.dfinity.org and include which language/CDK was used to create the " +
  "canister.";
const PAGES = "https://internetcomputer.org/docs/current/references/execution-errors#";

const context = (name: string): Context => CONTEXTS[name]?.[0] as Context;

/** Calls one after the other, results dropped; `text` lies at address 0. */
function calls(width: Width, list: readonly (readonly [name: string, ...args: Arg[]])[], text = ""): string {
  const built = list.map(([name, ...args]) => oneCall(width, specifiedFunction(width, name), args));
  const declared = [...new Set(built.map((each) => each.declared))].join("\n");
  const data = text === "" ? "" : `(data (${width === 64 ? "i64" : "i32"}.const 0) "${text}")`;
  return moduleOf(width, declared, built.map(({ code }) => code).join("\n")).replace(
    "(func (export",
    `${data} (func (export`,
  );
}

const run = (
  width: Width,
  where: string,
  list: Parameters<typeof calls>[1],
  given: Overrides = {},
  text?: string,
): Ran => runnable(calls(width, list, text)).run(input(context(where), given));

/** What the function gives, as an unsigned number. */
function result(width: Width, where: string, name: string, args: readonly Arg[] = [], given: Overrides = {}): bigint {
  const specified = specifiedFunction(width, name);
  const { declared, code } = oneCall(width, specified, args);
  const type = specified.result === "P" ? `i${width}` : (specified.result ?? "");
  const store = code.replace(/^\(drop /, `(${type}.store (i${width}.const 60000) `);
  const { heap, told } = runnable(moduleOf(width, declared, store)).run(input(context(where), given));
  assert.equal(told, "");
  const view = new DataView(heap.buffer);
  return type === "i32" ? BigInt(view.getUint32(60_000, true)) : view.getBigUint64(60_000, true);
}

/** The first sentence, and what is advised after it. */
function refusal(told: string): [code: string, what: string, advice: string] {
  const [, code = "", what = "", advice = ""] =
    /^(IC\d+) Error from Canister [a-z0-9-]+: ([\s\S]*?)(?:\.\n([\s\S]*))?$/.exec(told) ?? [];
  return [code, what, advice];
}

const violated = (what: string, advice = TOOLCHAIN) => ["IC0504", `Canister violated contract: ${what}`, advice];

for (const width of [32, 64] as const) {
  const refused = (where: string, list: Parameters<typeof calls>[1], given: Overrides = {}, text?: string) =>
    refusal(run(width, where, list, given, text).told);

  describe(`blobs, ${width}-bit`, () => {
    const caller = "01".repeat(29) as PrincipalId;
    const info = { data: Uint8Array.of(1, 2, 3, 4, 5), signer: "0a0b" as PrincipalId };
    const environmentVariables = [{ name: "abc", value: "value" }];
    const given = { caller, callerInfo: info, dataCertificate: new Uint8Array(7), canister: { environmentVariables } };
    /** name, context, what the replica calls the source, its size. */
    const BLOBS: readonly (readonly [string, string, string, number])[] = [
      ["msg_arg_data", "U", "payload", 3],
      ["msg_caller", "U", "id", 29],
      ["msg_caller_info_data", "U", "info", 5],
      ["msg_caller_info_signer", "U", "signer", 2],
      ["msg_reject_msg", "Rt", "msg", 2],
      ["msg_method_name", "F", "payload", 6],
      ["canister_self", "U", "id", 10],
      ["subnet_self", "U", "id", 4],
      ["root_key", "U", "bytes", 133],
    ];

    for (const [name, where, source, size] of BLOBS) {
      test(`${name}_size and _copy`, () => {
        assert.equal(result(width, where, `${name}_size`, [], given), BigInt(size));
        const copy = (...args: Arg[]) => run(width, where, [[`${name}_copy`, ...args]], given);
        assert.equal(copy(PAGE - size, 0, size).told, "");
        assert.equal(copy(PAGE, size, 0).told, "");
        assert.deepEqual([...copy(5, size - 1, 1).heap.subarray(0, 5)], [0, 0, 0, 0, 0]);
        const bad = (...args: Arg[]) => refusal(copy(...args).told);
        assert.deepEqual(
          bad(FAR, 0, 7),
          violated(`ic0.${name}_copy heap: src=65530 + length=7 exceeds the slice size=65536`),
        );
        assert.deepEqual(
          bad(0, 1, size),
          violated(`ic0.${name}_copy ${source}: src=1 + length=${size} exceeds the slice size=${size}`),
        );
        assert.deepEqual(
          bad(0, size + 1, 0),
          violated(`ic0.${name}_copy ${source}: src=${size + 1} + length=0 exceeds the slice size=${size}`),
        );
        const huge = width === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
        const outcome = width === 64 ? "is an invalid address" : "exceeds the slice size=65536";
        assert.deepEqual(bad(-1, 0, 5), violated(`ic0.${name}_copy heap: src=${huge} + length=5 ${outcome}`));
      });
    }

    test("caller information is empty when there is none", () => {
      assert.equal(result(width, "U", "msg_caller_info_data_size"), 0n);
      assert.equal(result(width, "Rt", "msg_caller_info_signer_size"), 0n);
      assert.equal(run(width, "U", [["msg_caller_info_data_copy", 0, 0, 0]]).told, "");
    });

    test("data certificates have sentences of their own", () => {
      const copy = (...args: Arg[]) => refused("NRQ", [["data_certificate_copy", ...args]], given);
      assert.equal(result(width, "NRQ", "data_certificate_size", [], given), 7n);
      assert.equal(result(width, "CQ", "data_certificate_present", [], given), 1n);
      assert.equal(result(width, "NRQ", "data_certificate_present"), 0n);
      assert.equal(result(width, "U", "data_certificate_present", [], given), 0n);
      const sentence = (what: string, at: number, size: number, max: number) =>
        `ic0_data_certificate_copy failed because ${what} + size is out of bounds. Found ${what} = ${at} and size = ${size} while ${what} + size must be <= ${max}`;
      assert.deepEqual(copy(0, 3, 5), violated(sentence("offset", 3, 5, 7)));
      assert.deepEqual(copy(FAR, 0, 7), violated(sentence("dst", FAR, 7, PAGE)));
      const none = refused("NRQ", [["data_certificate_size"]]);
      assert.equal(
        none[1],
        `Canister violated contract: "ic0_data_certificate_size" cannot be executed in non replicated query mode`,
      );
    });

    test("environment variables, by index and by name", () => {
      const of = (name: string, args: Arg[]) => refused("U", [[name, ...args]], given, "abcdxyz\\ff");
      assert.equal(result(width, "U", "env_var_count", [], given), 1n);
      assert.equal(result(width, "U", "env_var_name_size", [0], given), 3n);
      const value = run(width, "U", [["env_var_value_copy", 0, 3, 10, 1, 4]], given, "abc");
      assert.equal(new TextDecoder().decode(value.heap.subarray(10, 14)), "alue");
      const outside = "Environment variable index 1 is out of bounds. The number of environment variables is 1.";
      assert.deepEqual(of("env_var_name_size", [1]), ["IC0504", outside, ""]);
      assert.deepEqual(of("env_var_name_copy", [1, 0, 0, 0]), ["IC0504", outside, ""]);
      assert.deepEqual(of("env_var_value_size", [0, 4]), ["IC0504", "Environment variable abcd not found.", ""]);
      const slice = (api: string, part: string, at: number, length: number, size: number) =>
        violated(`ic0.${api} ${part}: src=${at} + length=${length} exceeds the slice size=${size}`);
      assert.deepEqual(of("env_var_name_copy", [0, FAR, 0, 7]), slice("env_var_name_copy", "heap", FAR, 7, PAGE));
      assert.deepEqual(of("env_var_name_copy", [0, 0, 1, 3]), slice("env_var_name_copy", "name", 1, 3, 3));
      assert.deepEqual(of("env_var_name_exists", [FAR, 7]), slice("env_var_name_exists", "heap", FAR, 7, PAGE));
      assert.deepEqual(of("env_var_value_copy", [FAR, 7, 0, 0, 0]), slice("env_var_value_copy", "name", FAR, 7, PAGE));
      assert.deepEqual(of("env_var_value_copy", [0, 3, FAR, 0, 7]), slice("env_var_value_copy", "heap", FAR, 7, PAGE));
      assert.deepEqual(of("env_var_value_copy", [0, 3, 0, 1, 5]), slice("env_var_value_copy", "value", 1, 5, 5));
      for (const api of ["env_var_name_exists", "env_var_value_size", "env_var_value_copy"]) {
        const rest = api === "env_var_value_copy" ? [0, 0, 0] : [];
        assert.deepEqual(
          of(api, [0, 101, ...rest])[1],
          `Canister violated contract: ic0.${api}: Variable name is too large.`,
        );
        assert.deepEqual(
          of(api, [7, 1, ...rest]),
          violated(
            `ic0.${api}: Variable name is not a valid UTF-8 string.`,
            "Provide a valid UTF-8 string for the environment variable name.",
          ),
        );
      }
    });
  });

  describe(`answers, ${width}-bit`, () => {
    test("once, and the three functions say so", () => {
      const replied = (name: string, ...args: Arg[]) => refused("U", [["msg_reply"], [name, ...args]]);
      assert.deepEqual(replied("msg_reply"), violated("ic0.msg_reply: the call is already replied"));
      assert.deepEqual(replied("msg_reject", 0, 0), violated("ic0.msg_reject: the call is already replied"));
      assert.deepEqual(
        replied("msg_reply_data_append", 0, 0),
        violated("ic0.msg_reply_data_append: the call is already replied."),
      );
      assert.deepEqual(refused("Ry", [["msg_reply"]], { responded: true })[1], replied("msg_reply")[1]);
    });

    test("up to their limit", () => {
      const small = { maxReplyBytes: 10 };
      assert.equal(run(width, "U", [["msg_reply_data_append", 0, 10], ["msg_reply"]], small).told, "");
      assert.deepEqual(
        refused(
          "U",
          [
            ["msg_reply_data_append", 0, 6],
            ["msg_reply_data_append", 0, 5],
          ],
          small,
        ),
        violated(
          "ic0.msg_reply_data_append: application payload size (11) cannot be larger than 10.",
          `Consider checking the response size and returning an error if it is too long. See documentation: ${PAGES}msg_reply_data_append-payload-too-large`,
        ),
      );
      assert.deepEqual(
        refused("U", [["msg_reject", 0, 11]], small),
        violated(
          "ic0.msg_reject: application payload size (11) cannot be larger than 10.",
          `Try truncating the error messages that are too long. See documentation: ${PAGES}msg_reject-payload-too-large`,
        ),
      );
    });

    test("of bytes that are there, a reject of text", () => {
      const outside = (name: string) => violated(`${name}: src=65530 + length=7 exceeds the slice size=65536`);
      assert.deepEqual(refused("U", [["msg_reply_data_append", FAR, 7]]), outside("msg.reply"));
      assert.deepEqual(refused("U", [["msg_reject", FAR, 7]]), outside("ic0.msg_reject"));
      assert.deepEqual(
        refused("U", [["msg_reject", 0, 1]], {}, "\\ff"),
        violated("ic0.msg_reject: invalid UTF-8 string provided"),
      );
    });

    test("reject codes", () => {
      assert.equal(result(width, "Ry", "msg_reject_code", [], { rejectCode: 0 }), 0n);
      assert.equal(result(width, "Rt", "msg_reject_code", [], { rejectCode: 5 }), 5n);
      assert.equal(result(width, "C", "msg_reject_code", [], { rejectCode: 4 }), 4n);
    });

    test("a message is accepted once", () => {
      assert.equal(run(width, "F", [["accept_message"]]).effects.accepted, true);
      assert.deepEqual(
        refused("F", [["accept_message"], ["accept_message"]]),
        violated("ic0.accept_message: the function was already called."),
      );
    });
  });

  describe(`amounts, ${width}-bit`, () => {
    const BIG = (5n << 64n) + 9n;
    const amountAt = (ran: Ran) => {
      assert.equal(ran.told, "");
      const view = new DataView(ran.heap.buffer);
      return (view.getBigUint64(8, true) << 64n) | view.getBigUint64(0, true);
    };

    test("are written as 16 bytes, little-endian", () => {
      const given = { cyclesAvailable: BIG, cyclesRefunded: BIG + 1n, canister: { cycles: BIG + 2n } };
      const amount = (where: string, name: string, ...args: Arg[]) =>
        amountAt(run(width, where, [[name, ...args]], { ...given, fees: { freezingThreshold: () => 2n } }));
      assert.equal(amount("U", "msg_cycles_available128", 0), BIG);
      assert.equal(amount("Ry", "msg_cycles_refunded128", 0), BIG + 1n);
      assert.equal(amount("U", "canister_cycle_balance128", 0), BIG + 2n);
      assert.equal(amount("U", "canister_liquid_cycle_balance128", 0), BIG);
      assert.equal(amount("U", "msg_cycles_accept128", 4, 7, 0), (4n << 64n) + 7n);
      assert.equal(amount("U", "msg_cycles_accept128", -1, -1, 0), BIG);
      assert.equal(amount("U", "cycles_burn128", 0, 12, 0), 12n);
      assert.equal(amount("U", "cycles_burn128", -1, 0, 0), BIG);
      assert.equal(amount("U", "cost_call", 3, 4, 0), 1000n + 7n + 57n);
      assert.equal(amount("U", "cost_create_canister", 0), 500n);
      assert.equal(amount("U", "cost_http_request", 3, 4, 0), 34n);
      assert.equal(amount("U", "cost_http_request_v2", 0, 1, 0), 77n);
    });

    test("beyond the heap are refused in a sentence that lacks a space", () => {
      const at = PAGE - 15;
      const NAMES: readonly (readonly [string, string, Arg[]])[] = [
        ["U", "msg_cycles_available128", []],
        ["Ry", "msg_cycles_refunded128", []],
        ["U", "canister_cycle_balance128", []],
        ["U", "canister_liquid_cycle_balance128", []],
        ["U", "msg_cycles_accept128", [0, 0]],
        ["U", "cycles_burn128", [0, 0]],
        ["U", "cost_call", [0, 0]],
        ["U", "cost_create_canister", []],
        ["U", "cost_http_request", [0, 0]],
        ["U", "cost_http_request_v2", [0, 1]],
      ];
      for (const [where, name, args] of NAMES) {
        assert.deepEqual(
          refused(where, [[name, ...args, at]]),
          violated(
            `ic0_${name} failed because dst + size is out of bounds.Found dst = ${at} and size = 16 while must be <= 65536`,
          ),
        );
      }
    });

    // The specification's formal part has them gone with the answer. The replica settles when the execution ends, and
    // one-way methods of Motoko, which answer before their body runs, see and accept what came with the call.
    test("of an incoming call are still there once it is answered", () => {
      const ran = run(width, "U", [["msg_reply"], ["msg_cycles_accept128", 0, 5, 0]], { cyclesAvailable: 9n });
      assert.equal(amountAt(ran), 5n);
      assert.equal(ran.effects.cyclesAccepted, 5n);
    });

    test("of signatures: 0, 1 for a curve, 2 for a key that is not there", () => {
      const cost = (name: string, key: string, curve: Arg) => {
        const ran = run(width, "NRQ", [[name, 0, key.length, curve, 32]], {}, key);
        assert.equal(ran.told, "");
        return new DataView(ran.heap.buffer).getBigUint64(32, true);
      };
      for (const [name, curves] of [
        ["cost_sign_with_ecdsa", 1],
        ["cost_sign_with_schnorr", 2],
        ["cost_vetkd_derive_key", 1],
      ] as const) {
        for (let curve = 0; curve < curves; curve++) assert.equal(cost(name, "key_1", curve), 26n);
        assert.equal(cost(name, "key_1", curves), 0n);
        assert.equal(cost(name, "key_2", 0), 0n);
        assert.equal(result(width, "U", name, [0, 0, curves, 0]), 1n);
        assert.equal(result(width, "U", name, [0, 0, -1, 0]), 1n);
        assert.equal(result(width, "U", name, [0, 0, 0, 0]), 2n);
        assert.deepEqual(
          refused("U", [[name, FAR, 7, 0, 0]]),
          violated(`ic0.${name} heap: src=65530 + length=7 exceeds the slice size=65536`),
        );
        assert.deepEqual(
          refused("U", [[name, 0, 2, 9, 0]], {}, "a\\ff"),
          violated("Failed to decode key name a\uFFFD"),
        );
      }
      assert.deepEqual(
        refused("U", [["cost_http_request_v2", 0, 0, 0]]),
        violated("Failed to decode HttpRequestV2CostParams from Candid"),
      );
    });

    test("are minted by one canister only", () => {
      const canister = { id: canisterIdFromIndex(4n), cycles: 5n };
      const minted = run(width, "U", [["mint_cycles128", 1, 2, 0]], { canister });
      assert.equal(amountAt(minted), (1n << 64n) + 2n);
      assert.equal(minted.effects.cycles, (1n << 64n) + 7n);
      assert.deepEqual(
        refused("U", [["mint_cycles128", 0, 1, 0]]),
        violated(
          "ic0.mint_cycles128 cannot be executed on non Cycles Minting Canister: rdmx6-jaaaa-aaaaa-aaadq-cai != rkp4c-7iaaa-aaaaa-aaaca-cai",
        ),
      );
    });
  });

  describe(`the canister and its surroundings, ${width}-bit`, () => {
    test("numbers", () => {
      const canister = { status: 2, version: 9, globalTimer: 77n } as const;
      assert.equal(result(width, "U", "canister_status", [], { canister }), 2n);
      assert.equal(result(width, "U", "canister_version", [], { canister }), 9n);
      assert.equal(result(width, "U", "time"), 1_000_000_000_000n);
      assert.equal(result(width, "U", "global_timer_set", [5], { canister }), 77n);
      assert.equal(run(width, "U", [["global_timer_set", -1]]).effects.globalTimer, 0xffff_ffff_ffff_ffffn);
      assert.equal(result(width, "U", "in_replicated_execution"), 1n);
      assert.equal(result(width, "NRQ", "in_replicated_execution"), 0n);
      assert.equal(result(width, "U", "msg_deadline"), 0n);
      assert.equal(result(width, "U", "msg_deadline", [], { deadlineSeconds: 12 }), 12_000_000_000n);
      assert.deepEqual(refused("U", [["performance_counter", 2]]), [
        "IC0504",
        "Canister violated contract: Error getting performance counter type 2",
        "",
      ]);
      assert.equal(refused("U", [["performance_counter", -1]])[1].endsWith("type 4294967295"), true);
    });

    test("is_controller", () => {
      const isController = (text: string, size: number) => {
        const { declared, code } = oneCall(width, specifiedFunction(width, "is_controller"), [0, size]);
        const store = code.replace("(drop ", `(i32.store (i${width}.const 100) `);
        const data = `(data (i${width}.const 0) "${text}")`;
        const module = moduleOf(width, declared, store).replace("(func (export", `${data} (func (export`);
        const canister = { controllers: [CALLER] };
        return runnable(module).run(input(context("U"), { canister })).heap[100];
      };
      assert.equal(isController("\\0a\\0b\\0c", 3), 1);
      assert.equal(isController("\\0a\\0b\\0c", 2), 0);
      assert.equal(isController("\\0a\\0b\\0c", 29), 0);
      assert.deepEqual(refused("U", [["is_controller", 0, 30]]), [
        "IC0504",
        "Canister provided invalid principal id",
        TOOLCHAIN,
      ]);
      assert.deepEqual(
        refused("U", [["is_controller", FAR, 30]]),
        violated("ic0.is_controller: src=65530 + length=30 exceeds the slice size=65536"),
      );
    });

    test("certified data", () => {
      assert.equal(run(width, "U", [["certified_data_set", 0, 32]]).effects.certifiedData?.length, 32);
      assert.deepEqual(
        refused("U", [["certified_data_set", FAR, 33]]),
        violated(
          "ic0_certified_data_set failed because the passed data must be no larger than 32 bytes. Found 33 bytes.",
          `Try certifying just the hash of your data instead of the full contents. See documentation: ${PAGES}certified_data_set-payload-too-large`,
        ),
      );
      assert.deepEqual(
        refused("U", [["certified_data_set", FAR, 7]]),
        violated(
          "ic0_certified_data_set failed because src + size is out of bounds. Found src = 65530 and size = 7 while src + size must be <= 65536",
        ),
      );
    });

    test("trap and debug_print show what they can", () => {
      const trapped = (text: string, at: Arg, size: Arg) => {
        const { told, effects } = run(width, "U", [["trap", at, size]], {}, text);
        const lines = effects.log.kept().map((line) => new TextDecoder().decode(line));
        return [...refusal(told), ...lines];
      };
      const help = `Consider gracefully handling failures from this canister or altering the canister to handle exceptions. See documentation: ${PAGES}trapped-explicitly`;
      const says = (message: string, line: string) => [
        "IC0503",
        `Canister called \`ic0.trap\` with message: '${message}'`,
        help,
        `[TRAP]: ${line}`,
      ];
      assert.deepEqual(trapped("oh no", 0, 5), says("oh no", "oh no"));
      assert.deepEqual(trapped("oh no", 0, 0), says("", "(no message)"));
      assert.deepEqual(trapped("a\\ff", 0, 2), says("a\uFFFD", "a\uFFFD"));
      const outside = "(trap message out of memory bounds)";
      assert.deepEqual(trapped("", FAR, 7), says(outside, outside));
      assert.equal(trapped("", 0, 40_000)[1]?.length, "Canister called `ic0.trap` with message: ''".length + 32_768);
      const printed = run(width, "U", [["debug_print", FAR, 7]]).effects.log.kept()[0];
      assert.equal(new TextDecoder().decode(printed), "(debug_print message out of memory bounds)");
    });
  });

  describe(`calls under construction, ${width}-bit`, () => {
    const NEW = ["call_new", 0, 10, 16, 4, 1, 2, 3, 4] as const;

    test("every other function needs one", () => {
      const needs = (name: string, ...args: Arg[]) => refused("U", [[name, ...args]]);
      const sentence = (name: string) => violated(`${name} called when no call is under construction.`);
      assert.deepEqual(needs("call_data_append", 0, 0), sentence("ic0.call_data_append"));
      assert.deepEqual(needs("call_on_cleanup", 0, 0), sentence("ic0.call_on_cleanup"));
      assert.deepEqual(needs("call_cycles_add128", 0, 0), sentence("ic0_call_cycles_add128"));
      assert.deepEqual(needs("call_perform"), sentence("ic0.call_perform"));
      assert.deepEqual(needs("call_with_best_effort_response", 1), sentence("ic0.call_with_best_effort_response"));
    });

    test("cleanup and timeout are set once", () => {
      assert.deepEqual(
        refused("U", [NEW, ["call_on_cleanup", 0, 0], ["call_on_cleanup", 0, 0]]),
        violated("ic0.call_on_cleanup can be called at most once between `ic0.call_new` and `ic0.call_perform`"),
      );
      const timeout = ["call_with_best_effort_response", 5] as const;
      assert.deepEqual(
        refused("U", [NEW, timeout, timeout]),
        violated("ic0_call_with_best_effort_response failed because a timeout is already set."),
      );
    });

    test("method names, callees and payloads have limits", () => {
      assert.deepEqual(
        refused("U", [["call_new", 0, 0, 0, 20_001, 0, 0, 0, 0]]),
        violated(
          "Size of method_name 20001 exceeds the allowed limit of 20000.",
          `Size of method_name {} exceeds the allowed limit of {}. See documentation: ${PAGES}canister-made-a-call-with-too-large-method-name`,
        ),
      );
      const outside = (name: string) => violated(`${name}: src=65530 + length=7 exceeds the slice size=65536`);
      assert.deepEqual(refused("U", [["call_new", 0, 0, FAR, 7, 0, 0, 0, 0]]), outside("ic0.call_new method_name"));
      assert.deepEqual(refused("U", [["call_new", FAR, 7, 0, 0, 0, 0, 0, 0]]), outside("ic0.call_new callee_src"));
      assert.equal(refused("U", [["call_new", 0, 30, 0, 0, 0, 0, 0, 0]])[1], "Canister provided invalid principal id");
      assert.deepEqual(refused("U", [NEW, ["call_data_append", FAR, 7]]), outside("ic0.call_data_append"));
      assert.deepEqual(
        refused(
          "U",
          [
            ["call_new", 0, 0, 0, 4, 0, 0, 0, 0],
            ["call_data_append", 0, 10_485_757],
          ],
          {},
          "name",
        ),
        violated(
          "Request to aaaaa-aa:name has a payload size of 10485761, which exceeds the allowed limit of 10485760.",
          `Check the canister for errors or redesign the target API to allow shorter messages See documentation: ${PAGES}canister-made-a-call-with-too-large-payload`,
        ),
      );
    });

    test("performed, it carries all that was set; a timeout is cut to 300 seconds", () => {
      const text = "0123456789______nameargument";
      const list = [
        NEW,
        ["call_data_append", 20, 3],
        ["call_data_append", 23, 5],
        ["call_on_cleanup", 5, 6],
        ["call_cycles_add128", 0, 70],
        ["call_cycles_add128", 0, 7],
        ["call_with_best_effort_response", -1],
        ["call_perform"],
      ] as const;
      const { effects, told } = run(width, "U", list, {}, text);
      assert.equal(told, "");
      const [call] = effects.calls;
      const value = (n: number) => (width === 64 ? BigInt(n) : n);
      assert.equal(call?.receiver, Buffer.from("0123456789").toString("hex"));
      assert.equal(call?.methodName, "name");
      assert.equal(new TextDecoder().decode(call?.arg), "argument");
      assert.deepEqual(call?.onReply, { functionIndex: value(1), env: value(2) });
      assert.deepEqual(call?.onReject, { functionIndex: value(3), env: value(4) });
      assert.deepEqual(call?.onCleanup, { functionIndex: value(5), env: value(6) });
      assert.equal(call?.cycles, 77n);
      assert.equal(call?.deadlineSeconds, 1000 + MAX_CALL_TIMEOUT_SECONDS);
      assert.equal(effects.cycles, 10n ** 13n - 77n - (1000n + 12n + 57n));
    });

    test("a call that was not performed, or not allowed to be, gives its cycles back", () => {
      const add = ["call_cycles_add128", 0, 70] as const;
      assert.equal(run(width, "U", [NEW, add]).effects.cycles, 10n ** 13n);
      assert.equal(run(width, "U", [NEW, add, NEW]).effects.cycles, 10n ** 13n);
      const full = { canister: { openCallsTo: () => 500 } };
      assert.equal(run(width, "U", [NEW, add, ["call_perform"]], full).effects.cycles, 10n ** 13n);
    });

    test("more cycles than are free: a violation that tells no sum", () => {
      const given = { fees: { freezingThreshold: () => 10n ** 13n - 5n } };
      assert.equal(run(width, "U", [NEW, ["call_cycles_add128", 0, 5]], given).told, "");
      assert.deepEqual(refused("U", [NEW, ["call_cycles_add128", 0, 6]], given), [
        "IC0504",
        "Canister rdmx6-jaaaa-aaaaa-aaadq-cai is out of cycles",
        "",
      ]);
    });
  });
}

describe("functions of 32-bit modules", () => {
  test("trap on amounts beyond 64 bits", () => {
    const large = 1n << 64n;
    const given = { cyclesAvailable: large, cyclesRefunded: large, canister: { cycles: large } };
    for (const [where, name] of [
      ["U", "canister_cycle_balance"],
      ["U", "msg_cycles_available"],
      ["Ry", "msg_cycles_refunded"],
    ] as const) {
      const [code, what] = refusal(run(32, where, [[name]], given).told);
      assert.deepEqual([code, what], ["IC0502", "Canister trapped: cycles amount exceeds 64-bit representation"]);
    }
    assert.equal(result(32, "U", "msg_cycles_accept", [-1], given), 0xffff_ffff_ffff_ffffn);
  });

  test("the older name of the cycles call is its own in refusals", () => {
    const [, what] = refusal(run(32, "U", [["call_cycles_add", 1]]).told);
    assert.equal(what, "Canister violated contract: ic0_call_cycles_add called when no call is under construction.");
  });

  test("an empty stable_write checks its offset, an empty stable_read nothing", () => {
    const stable = (list: Parameters<typeof calls>[1], pages: number) =>
      refusal(runnable(calls(32, list)).run(input(context("U")), { pages }).told)[1];
    assert.equal(stable([["stable_write", PAGE, 0, 0]], 1), "");
    assert.equal(stable([["stable_write", PAGE + 1, 0, 0]], 1), "Canister trapped: stable memory out of bounds");
    assert.equal(stable([["stable_read", 0, PAGE + 1, 0]], 1), "");
    const tooBig = "Canister trapped: 32 bit stable memory api used on a memory larger than 4GB";
    assert.equal(stable([["stable_read", 0, 0, 0]], 65_537), "");
    assert.equal(stable([["stable_read", 0, 0, 1]], 65_537), tooBig);
    assert.equal(stable([["stable_write", 0, 0, 0]], 65_537), tooBig);
    assert.equal(stable([["stable_size"]], 65_537), tooBig);
    assert.equal(stable([["stable_grow", 0]], 65_537), tooBig);
    assert.equal(stable([["stable_size"], ["stable_grow", 0]], 65_536), "");
  });
});
