// The functions of the System API with their types, as a canister imports them from module `ic0`. `P` is the width of
// the module's memory: i32 in 32-bit modules, i64 in 64-bit ones. Interface specification, "Overview of imports".

export type Ic0Type = "P" | "i32" | "i64";

export interface Ic0Function {
  readonly name: string;
  readonly params: readonly Ic0Type[];
  readonly result: Ic0Type | null;
}

/** Everything in the specification; the last list exists in 32-bit modules only. */
export function ic0Functions(width: 32 | 64): readonly Ic0Function[] {
  return width === 32 ? [...COMMON, ...ONLY_32] : COMMON;
}

const COMMON = parse(`
  msg_arg_data_size : -> P
  msg_arg_data_copy : P P P
  msg_caller_size : -> P
  msg_caller_copy : P P P
  msg_caller_info_data_size : -> P
  msg_caller_info_data_copy : P P P
  msg_caller_info_signer_size : -> P
  msg_caller_info_signer_copy : P P P
  msg_reject_code : -> i32
  msg_reject_msg_size : -> P
  msg_reject_msg_copy : P P P
  msg_deadline : -> i64
  msg_reply_data_append : P P
  msg_reply :
  msg_reject : P P
  msg_cycles_available128 : P
  msg_cycles_refunded128 : P
  msg_cycles_accept128 : i64 i64 P
  cycles_burn128 : i64 i64 P
  canister_self_size : -> P
  canister_self_copy : P P P
  subnet_self_size : -> P
  subnet_self_copy : P P P
  canister_cycle_balance128 : P
  canister_liquid_cycle_balance128 : P
  canister_status : -> i32
  canister_version : -> i64
  msg_method_name_size : -> P
  msg_method_name_copy : P P P
  accept_message :
  call_new : P P P P P P P P
  call_on_cleanup : P P
  call_data_append : P P
  call_with_best_effort_response : i32
  call_cycles_add128 : i64 i64
  call_perform : -> i32
  stable64_size : -> i64
  stable64_grow : i64 -> i64
  stable64_write : i64 i64 i64
  stable64_read : i64 i64 i64
  root_key_size : -> P
  root_key_copy : P P P
  certified_data_set : P P
  data_certificate_present : -> i32
  data_certificate_size : -> P
  data_certificate_copy : P P P
  time : -> i64
  global_timer_set : i64 -> i64
  performance_counter : i32 -> i64
  is_controller : P P -> i32
  in_replicated_execution : -> i32
  cost_call : i64 i64 P
  cost_create_canister : P
  cost_http_request : i64 i64 P
  cost_sign_with_ecdsa : P P i32 P -> i32
  cost_sign_with_schnorr : P P i32 P -> i32
  cost_vetkd_derive_key : P P i32 P -> i32
  env_var_count : -> P
  env_var_name_size : P -> P
  env_var_name_copy : P P P P
  env_var_name_exists : P P -> i32
  env_var_value_size : P P -> P
  env_var_value_copy : P P P P P
  debug_print : P P
  trap : P P
`);

const ONLY_32 = parse(`
  msg_cycles_available : -> i64
  msg_cycles_refunded : -> i64
  msg_cycles_accept : i64 -> i64
  canister_cycle_balance : -> i64
  call_cycles_add : i64
  stable_size : -> i32
  stable_grow : i32 -> i32
  stable_write : i32 i32 i32
  stable_read : i32 i32 i32
`);

/** What the replica offers beyond the specification, to the cycles minting canister or to everyone. */
export const REPLICA_EXTRAS = parse(`
  mint_cycles128 : i64 i64 P
  cost_http_request_v2 : P P P
`);

function parse(text: string): readonly Ic0Function[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", types = ""] = line.split(":");
      const [params = "", result = ""] = types.split("->");
      return {
        name: name.trim(),
        params: params.split(" ").filter((type) => type !== "") as Ic0Type[],
        result: (result.trim() || null) as Ic0Type | null,
      };
    });
}
