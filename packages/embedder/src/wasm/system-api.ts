// Signatures of the system API, module `ic0`: what a canister may import. Interface specification, "Overview of
// imports". P is the pointer width of the module (i32 or i64), i is i32, l is i64; before the arrow the parameters.

const BOTH_WIDTHS = `
msg_arg_data_size >P
msg_arg_data_copy PPP>
msg_caller_size >P
msg_caller_copy PPP>
msg_caller_info_data_size >P
msg_caller_info_data_copy PPP>
msg_caller_info_signer_size >P
msg_caller_info_signer_copy PPP>
msg_reject_code >i
msg_reject_msg_size >P
msg_reject_msg_copy PPP>
msg_deadline >l
msg_reply_data_append PP>
msg_reply >
msg_reject PP>
msg_cycles_available128 P>
msg_cycles_refunded128 P>
msg_cycles_accept128 llP>
cycles_burn128 llP>
canister_self_size >P
canister_self_copy PPP>
subnet_self_size >P
subnet_self_copy PPP>
canister_cycle_balance128 P>
canister_liquid_cycle_balance128 P>
canister_status >i
canister_version >l
msg_method_name_size >P
msg_method_name_copy PPP>
accept_message >
call_new PPPPPPPP>
call_on_cleanup PP>
call_data_append PP>
call_with_best_effort_response i>
call_cycles_add128 ll>
call_perform >i
stable64_size >l
stable64_grow l>l
stable64_write lll>
stable64_read lll>
root_key_size >P
root_key_copy PPP>
certified_data_set PP>
data_certificate_present >i
data_certificate_size >P
data_certificate_copy PPP>
time >l
global_timer_set l>l
performance_counter i>l
is_controller PP>i
in_replicated_execution >i
cost_call llP>
cost_create_canister P>
cost_http_request llP>
cost_http_request_v2 PPP>
cost_sign_with_ecdsa PPiP>i
cost_sign_with_schnorr PPiP>i
cost_vetkd_derive_key PPiP>i
env_var_count >P
env_var_name_size P>P
env_var_name_copy PPPP>
env_var_name_exists PP>i
env_var_value_size PP>P
env_var_value_copy PPPPP>
mint_cycles128 llP>
debug_print PP>
trap PP>
`;

const ONLY_32 = `
msg_cycles_available >l
msg_cycles_refunded >l
msg_cycles_accept l>l
canister_cycle_balance >l
call_cycles_add l>
stable_size >i
stable_grow i>i
stable_write iii>
stable_read iii>
`;

/** Value types as in the binary format. */
export interface Signature {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export const I32 = 0x7f;
export const I64 = 0x7e;

function signatures(memory64: boolean): ReadonlyMap<string, Signature> {
  const code: Record<string, number> = { P: memory64 ? I64 : I32, i: I32, l: I64 };
  const types = (letters: string): number[] => Array.from(letters, (letter) => code[letter] as number);
  const map = new Map<string, Signature>();
  for (const line of (BOTH_WIDTHS + (memory64 ? "" : ONLY_32)).trim().split(/\n+/)) {
    const [name = "", shape = ""] = line.split(" ");
    const [params = "", results = ""] = shape.split(">");
    map.set(name, { params: types(params), results: types(results) });
  }
  return map;
}

const SIGNATURES_32 = signatures(false);
const SIGNATURES_64 = signatures(true);

/** The system API for the width of the module's memory; 32-bit when the module has none. */
export function systemApiSignatures(memory64: boolean): ReadonlyMap<string, Signature> {
  return memory64 ? SIGNATURES_64 : SIGNATURES_32;
}
