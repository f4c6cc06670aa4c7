//! A Rust canister as anyone writes it, against the current `ic-cdk`: the counter of the Motoko canister, its state
//! carried over upgrades through stable memory, inter-canister calls, timers, a heartbeat, message inspection and
//! certified data.

use candid::{Nat, Principal};
use ic_cdk::call::Call;
use ic_cdk::{heartbeat, init, inspect_message, post_upgrade, pre_upgrade, query, update};
use std::cell::RefCell;
use std::time::Duration;

#[derive(Default, candid::CandidType, serde::Deserialize)]
struct State {
    count: Nat,
    greeting: String,
    timer_ticks: u64,
    upgrades: u32,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    static HEARTBEATS: RefCell<Option<u64>> = const { RefCell::new(None) };
}

fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(f)
}

#[init]
fn init(greeting: Option<String>) {
    with(|state| state.greeting = greeting.unwrap_or_else(|| "hello".to_string()));
}

#[pre_upgrade]
fn pre_upgrade() {
    STATE.with_borrow(|state| ic_cdk::storage::stable_save((state,)).expect("state fits"));
}

#[post_upgrade]
fn post_upgrade() {
    let (state,): (State,) = ic_cdk::storage::stable_restore().expect("state was saved");
    with(|current| *current = state);
    with(|state| state.upgrades += 1);
}

#[update]
fn inc() -> Nat {
    with(|state| {
        state.count += 1u32;
        state.count.clone()
    })
}

#[query]
fn get() -> Nat {
    with(|state| state.count.clone())
}

#[update]
fn trap_after_change() {
    inc();
    ic_cdk::trap("trapped after the change");
}

#[update]
fn panic_after_change() {
    inc();
    panic!("panicked after the change");
}

#[query]
fn greet(name: String) -> String {
    with(|state| format!("{}, {name}!", state.greeting))
}

#[query]
fn upgrades() -> u32 {
    with(|state| state.upgrades)
}

#[query]
fn whoami() -> Principal {
    ic_cdk::api::msg_caller()
}

#[query]
fn own_id() -> Principal {
    ic_cdk::api::canister_self()
}

/// Calls a method without arguments that answers with a `nat`; a failure comes back as text.
#[update]
async fn call_nat(callee: Principal, method: String) -> Result<Nat, String> {
    let response = Call::unbounded_wait(callee, &method).await.map_err(|e| e.to_string())?;
    response.candid::<Nat>().map_err(|e| e.to_string())
}

/// The same with a best-effort response and a timeout.
#[update]
async fn call_nat_bounded(callee: Principal, method: String, timeout_seconds: u32) -> Result<Nat, String> {
    let response = Call::bounded_wait(callee, &method)
        .change_timeout(timeout_seconds)
        .await
        .map_err(|e| e.to_string())?;
    response.candid::<Nat>().map_err(|e| e.to_string())
}

/// Changes the counter, awaits, traps in the callback: the first change stays, the second does not.
#[update]
async fn trap_in_callback() {
    inc();
    let own = ic_cdk::api::canister_self();
    Call::unbounded_wait(own, "get").await.expect("own query answers");
    inc();
    ic_cdk::trap("trapped in the callback");
}

#[update]
async fn random_bytes() -> Vec<u8> {
    let management = Principal::management_canister();
    let response = Call::unbounded_wait(management, "raw_rand").await.expect("the management canister answers");
    response.candid().expect("raw_rand answers a blob")
}

#[update]
fn accept_cycles(limit: u128) -> u128 {
    ic_cdk::api::msg_cycles_accept(limit)
}

#[query]
fn balance() -> u128 {
    ic_cdk::api::canister_cycle_balance()
}

#[update]
async fn send_cycles(callee: Principal, method: String, limit: u128, amount: u128) -> Result<u128, String> {
    let response = Call::unbounded_wait(callee, &method)
        .with_arg(limit)
        .with_cycles(amount)
        .await
        .map_err(|e| e.to_string())?;
    response.candid::<u128>().map_err(|e| e.to_string())
}

#[update]
fn start_timer(after_ms: u64) {
    ic_cdk_timers::set_timer(Duration::from_millis(after_ms), async { with(|state| state.timer_ticks += 1) });
}

#[update]
fn start_interval(every_ms: u64) {
    ic_cdk_timers::set_timer_interval(Duration::from_millis(every_ms), async || with(|state| state.timer_ticks += 1));
}

#[query]
fn timer_ticks() -> u64 {
    with(|state| state.timer_ticks)
}

/// Heartbeats are counted only once asked for, so that an idle canister keeps an unchanged state.
#[update]
fn count_heartbeats() {
    HEARTBEATS.set(Some(0));
}

#[query]
fn heartbeats() -> u64 {
    HEARTBEATS.with_borrow(|count| count.unwrap_or(0))
}

#[heartbeat]
fn heartbeat() {
    HEARTBEATS.with_borrow_mut(|count| {
        if let Some(n) = count {
            *n += 1;
        }
    });
}

/// Ingress messages to `forbidden` are turned away before they cost the canister anything.
#[inspect_message]
fn inspect_message() {
    if ic_cdk::api::msg_method_name() != "forbidden" {
        ic_cdk::api::accept_message();
    }
}

#[update]
fn forbidden() -> String {
    "reached by a canister only".to_string()
}

#[update]
fn certify(data: Vec<u8>) {
    ic_cdk::api::certified_data_set(data);
}

#[query]
fn certificate() -> Option<Vec<u8>> {
    ic_cdk::api::data_certificate()
}

#[update]
fn stable_write(offset: u64, bytes: Vec<u8>) {
    let end = offset + bytes.len() as u64;
    let pages = end.div_ceil(65536);
    let size = ic_cdk::stable::stable_size();
    if pages > size {
        ic_cdk::stable::stable_grow(pages - size).expect("stable memory grows");
    }
    ic_cdk::stable::stable_write(offset, &bytes);
}

#[query]
fn stable_read(offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    ic_cdk::stable::stable_read(offset, &mut bytes);
    bytes
}

ic_cdk::export_candid!();
