// The functions of module `ic0` as the interface specification lists them ("Overview of imports"): types, and the kinds
// of execution in which each may be called; beside them what a call costs (instruction costs, section 4). Written from
// those two sources, not from the code under test.

export type Width = 32 | 64;

export interface SpecifiedFunction {
  readonly name: string;
  /** i32, i64, or P for a number as wide as the module's memory. */
  readonly params: readonly ("i32" | "i64" | "P")[];
  readonly result: "i32" | "i64" | "P" | undefined;
  readonly contexts: ReadonlySet<string>;
  /** Instructions. */
  readonly fixed: number;
  /** Parameters whose value, in bytes, is charged too, and how many instructions for each byte. */
  readonly perByte: readonly { readonly param: number; readonly factor: number }[];
}

/** Every context but that of the start function. */
const ALL = "I G U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F T";
const LEGEND: Readonly<Record<string, string>> = {
  "*": ALL,
  Q: "RQ NRQ",
  CALLER_INFO: "U RQ NRQ CQ Ry Rt CRy CRt C CC F",
  REPLY: "U RQ NRQ TQ CQ Ry Rt CRy CRt",
  CALL: "U CQ Ry Rt CRy CRt T",
};

/** name : types | contexts | cost; in the cost, `+2` is the value of parameter 2, `+50x1` fifty times that of parameter 1. */
const BOTH_WIDTHS = `
msg_arg_data_size : -> P | I U RQ NRQ TQ CQ Ry CRy F | 500
msg_arg_data_copy : P P P | I U RQ NRQ TQ CQ Ry CRy F | 500 +2
msg_caller_size : -> P | * | 500
msg_caller_copy : P P P | * | 500 +2
msg_caller_info_data_size : -> P | CALLER_INFO | 500
msg_caller_info_data_copy : P P P | CALLER_INFO | 500 +2
msg_caller_info_signer_size : -> P | CALLER_INFO | 500
msg_caller_info_signer_copy : P P P | CALLER_INFO | 500 +2
msg_reject_code : -> i32 | Ry Rt CRy CRt C | 500
msg_reject_msg_size : -> P | Rt CRt | 500
msg_reject_msg_copy : P P P | Rt CRt | 500 +2
msg_deadline : -> i64 | U Q CQ Ry Rt CRy CRt | 500
msg_reply_data_append : P P | REPLY | 500 +50x1
msg_reply : | REPLY | 500
msg_reject : P P | REPLY | 500 +50x1
msg_cycles_available128 : P | U RQ Rt Ry | 500
msg_cycles_refunded128 : P | Rt Ry | 500
msg_cycles_accept128 : i64 i64 P | U RQ Rt Ry | 500
cycles_burn128 : i64 i64 P | I G U RQ Ry Rt C T | 500
canister_self_size : -> P | * | 500
canister_self_copy : P P P | * | 500 +2
canister_cycle_balance128 : P | * | 500
canister_liquid_cycle_balance128 : P | * | 500
canister_status : -> i32 | * | 500
canister_version : -> i64 | * | 500
subnet_self_size : -> P | * | 500
subnet_self_copy : P P P | * | 500 +2
msg_method_name_size : -> P | F | 500
msg_method_name_copy : P P P | F | 500 +2
accept_message : | F | 500
call_new : P P P P P P P P | CALL | 1500 +1 +3
call_on_cleanup : P P | CALL | 500
call_data_append : P P | CALL | 500 +50x1
call_with_best_effort_response : i32 | CALL | 500
call_cycles_add128 : i64 i64 | U Ry Rt T | 500
call_perform : -> i32 | CALL | 5000
stable64_size : -> i64 | * s | 0
stable64_grow : i64 -> i64 | * s | 100
stable64_write : i64 i64 i64 | * s | 20 +2
stable64_read : i64 i64 i64 | * s | 20 +2
root_key_size : -> P | I G U RQ Ry Rt C T | 500
root_key_copy : P P P | I G U RQ Ry Rt C T | 500 +2
certified_data_set : P P | I G U Ry Rt T | 500 +1
data_certificate_present : -> i32 | * | 500
data_certificate_size : -> P | NRQ CQ | 500
data_certificate_copy : P P P | NRQ CQ | 500 +2
time : -> i64 | * | 500
global_timer_set : i64 -> i64 | I G U Ry Rt C T | 500
performance_counter : i32 -> i64 | * s | 200
is_controller : P P -> i32 | * s | 1000 +1
in_replicated_execution : -> i32 | * s | 500
cost_call : i64 i64 P | * s | 500
cost_create_canister : P | * s | 500
cost_http_request : i64 i64 P | * s | 500
cost_sign_with_ecdsa : P P i32 P -> i32 | * s | 500 +1
cost_sign_with_schnorr : P P i32 P -> i32 | * s | 500 +1
cost_vetkd_derive_key : P P i32 P -> i32 | * s | 500 +1
env_var_count : -> P | * | 500
env_var_name_size : P -> P | * | 500
env_var_name_copy : P P P P | * | 500 +3
env_var_name_exists : P P -> i32 | * | 500
env_var_value_size : P P -> P | * | 500
env_var_value_copy : P P P P P | * | 500 +4
debug_print : P P | * s | 100 +52x1
trap : P P | * s | 500 +53x1
`;

const ONLY_32 = `
msg_cycles_available : -> i64 | U RQ Rt Ry | 500
msg_cycles_refunded : -> i64 | Rt Ry | 500
msg_cycles_accept : i64 -> i64 | U RQ Rt Ry | 500
canister_cycle_balance : -> i64 | * | 500
call_cycles_add : i64 | U Ry Rt T | 500
stable_size : -> i32 | * s | 0
stable_grow : i32 -> i32 | * s | 100
stable_write : i32 i32 i32 | * s | 20 +2
stable_read : i32 i32 i32 | * s | 20 +2
`;

/** Offered by the replica beyond the specification. */
const EXTRAS = `
cost_http_request_v2 : P P P | * s | 10000
mint_cycles128 : i64 i64 P | U Ry Rt T | 0
`;

const parsed = new Map<Width, readonly SpecifiedFunction[]>();
parsed.set(64, parse(BOTH_WIDTHS + EXTRAS));
parsed.set(32, parse(BOTH_WIDTHS + EXTRAS + ONLY_32));

export function specified(width: Width): readonly SpecifiedFunction[] {
  return parsed.get(width) ?? [];
}

export function specifiedFunction(width: Width, name: string): SpecifiedFunction {
  const found = specified(width).find((each) => each.name === name);
  if (found === undefined) throw new Error(`the specification has no ic0.${name} for ${width} bits`);
  return found;
}

function parse(text: string): SpecifiedFunction[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map(parseLine);
}

function parseLine(line: string): SpecifiedFunction {
  const [name = "", rest = ""] = line.split(" : ").length > 1 ? line.split(" : ") : line.split(" :");
  const [types = "", contexts = "", cost = ""] = rest.split("|").map((part) => part.trim());
  const [params = "", result] = types.split("->").map((part) => part.trim());
  const [fixed, ...bytes] = cost.split(" ");
  return {
    name: name.trim(),
    params: params.split(" ").filter((type) => type !== "") as SpecifiedFunction["params"],
    result: result as SpecifiedFunction["result"],
    contexts: new Set(contexts.split(" ").flatMap((word) => (LEGEND[word] ?? word).split(" "))),
    fixed: Number(fixed),
    perByte: bytes.map((part) => {
      const [factor, param] = part.includes("x") ? part.slice(1).split("x") : ["1", part.slice(1)];
      return { param: Number(param), factor: Number(factor) };
    }),
  };
}
