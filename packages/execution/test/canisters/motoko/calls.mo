/// Inter-canister calls in all their outcomes: reply, reject, trap of the callee, missing canister, missing method,
/// cycles sent and refunded, try/catch/finally, calls to itself, many calls in flight, best-effort responses.
import Cycles "mo:core/Cycles";
import Error "mo:core/Error";
import InternetComputer "mo:core/InternetComputer";
import List "mo:core/List";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";

persistent actor class Calls() = self {
  type Callee = actor { echo : shared Text -> async Text };

  var log : Text = "";
  var inFlight : Nat = 0;
  var mostInFlight : Nat = 0;

  // --- what a callee does ---

  public func echo(text : Text) : async Text { text };

  public func fail(text : Text) : async () { throw Error.reject(text) };

  public func trap(text : Text) : async () { Runtime.trap(text) };

  public func accept(limit : Nat) : async Nat { Cycles.accept<system>(limit) };

  public query func available() : async Nat { Cycles.available() };

  public query func balance() : async Nat { Cycles.balance() };

  public func deadline() : async ?Nat { InternetComputer.replyDeadline() };

  public shared ({ caller }) func caller_() : async Principal { caller };

  // --- what a caller does ---

  public func callEcho(callee : Principal, text : Text) : async Text {
    await (actor (Principal.toText(callee)) : Callee).echo(text)
  };

  /// Any method with any argument bytes. A failure is answered as (code, message), never passed on.
  public func call(callee : Principal, method : Text, argument : Blob) : async { #ok : Blob; #err : (Text, Text) } {
    try #ok(await InternetComputer.call(callee, method, argument)) catch (e) #err(debug_show (Error.code(e)), Error.message(e))
  };

  /// The same without the try: the failure becomes this call's own reject.
  public func callAndPassOn(callee : Principal, method : Text, argument : Blob) : async Blob {
    await InternetComputer.call(callee, method, argument)
  };

  /// The code of a call by an actor's type. In `call` the library's function is a call to this canister itself, which passes every
  /// failure on as a reject of its own.
  public func codeOf(callee : Principal) : async Text {
    try await (actor (Principal.toText(callee)) : Callee).echo("") catch (e) debug_show (Error.code(e))
  };

  /// Sends `amount` cycles, the callee accepts `limit`: (accepted, refunded).
  public func sendCycles(callee : Principal, amount : Nat, limit : Nat) : async (Nat, Nat) {
    let target = actor (Principal.toText(callee)) : actor { accept : shared Nat -> async Nat };
    let accepted = await (with cycles = amount) target.accept(limit);
    (accepted, Cycles.refunded())
  };

  /// A call with a best-effort response: the callee sees a deadline.
  public func callWithTimeout(callee : Principal, seconds : Nat32) : async ?Nat {
    let target = actor (Principal.toText(callee)) : actor { deadline : shared () -> async ?Nat };
    await (with timeout = seconds) target.deadline()
  };

  /// What ran, in order: "try", then "catch" or not, then "finally".
  public func tryCatchFinally(callee : Principal, method : Text) : async Text {
    log := "";
    try {
      log #= "try ";
      ignore await InternetComputer.call(callee, method, to_candid ("argument"));
      log #= "after "
    } catch (e) {
      log #= "catch:" # debug_show (Error.code(e)) # " "
    } finally {
      log #= "finally"
    };
    log
  };

  /// The callback traps; the finally block runs in the cleanup callback and what it changes stays.
  public func trapThenCleanup() : async () {
    log := "";
    try {
      await nothing();
      log #= "lost ";
      Runtime.trap("trapped after the await")
    } finally {
      log #= "cleanup"
    }
  };

  public query func getLog() : async Text { log };

  public func nothing() : async () {};

  public func slow() : async () {
    inFlight += 1;
    if (inFlight > mostInFlight) mostInFlight := inFlight;
    await nothing();
    inFlight -= 1
  };

  /// Starts `n` calls to itself before it awaits the first: (completed, most in flight).
  public func parallel(n : Nat) : async (Nat, Nat) {
    mostInFlight := 0;
    let calls = List.empty<async ()>();
    while (List.size(calls) < n) List.add(calls, slow());
    var done = 0;
    for (call in List.values(calls)) {
      await call;
      done += 1
    };
    (done, mostInFlight)
  };

  /// Starts up to `n` calls and answers how many were accepted before one failed synchronously.
  public func fillQueue(callee : Principal, n : Nat) : async Nat {
    let target = actor (Principal.toText(callee)) : actor { nothing : shared () -> async () };
    var started = 0;
    label fill while (started < n) {
      try { ignore target.nothing() } catch _ { break fill };
      started += 1
    };
    started
  };

  /// Depth of nested awaits on itself.
  public func recurse(depth : Nat) : async Nat {
    if (depth == 0) 0 else 1 + (await recurse(depth - 1))
  };

  public composite query func queryEcho(callee : Principal) : async Nat {
    await (actor (Principal.toText(callee)) : actor { balance : shared query () -> async Nat }).balance()
  };

  public query func ownId() : async Principal { Principal.fromActor(self) };
}
