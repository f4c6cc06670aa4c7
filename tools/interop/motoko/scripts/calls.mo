// Calls in comments: traps, rejects, one-way calls with cycles, other canisters, an upgrade in between.
import { cyclesAccept; cyclesAdd; cyclesAvailable; cyclesRefunded; debugPrint; error; errorCode; errorMessage; principalOfActor; trap } = "mo:⛔";

actor Self {
  stable var upgrades = 0;
  let management = actor "aaaaa-aa" : actor { stop_canister : { canister_id : Principal } -> async () };
  let nobody = actor "rrkah-fqaaa-aaaaa-aaaaq-cai" : actor { hello : () -> async () };

  func told(name : Text, call : () -> async ()) : async () {
    try { await call() } catch e { debugPrint(name # ": " # debug_show (errorCode e) # " " # errorMessage e) };
  };

  public func traps() : async () { trap "on purpose" };
  public func throws() : async () { throw error "no" };
  public query func answer() : async Nat { 42 };
  public query func asked() : async () { debugPrint "in a query"; trap "there too" };

  public func oneWay() : () {
    debugPrint("available: " # debug_show (cyclesAvailable()));
    debugPrint("accepted: " # debug_show (cyclesAccept<system>(10)));
  };

  public func errors() : async () {
    await told("callee", func() : async () { await Self.traps() });
    await told("thrown", func() : async () { await Self.throws() });
    await told("nobody", func() : async () { await nobody.hello() });
    await told("management", func() : async () {
      await management.stop_canister({ canister_id = principalOfActor nobody });
    });
  };

  public func cycles() : async () {
    cyclesAdd<system>(100);
    Self.oneWay();
  };

  system func preupgrade() { upgrades += 1 };
  system func postupgrade() { debugPrint("upgrades: " # debug_show upgrades) };
};

Self.errors(); //OR-CALL ingress errors "DIDL\x00\x00"

//SKIP run
//SKIP run-ir
//SKIP run-low
//CALL ingress traps "DIDL\x00\x00"
//CALL ingress throws "DIDL\x00\x00"
//CALL ingress cycles "DIDL\x00\x00"
//CALL query answer "DIDL\x00\x00"
//CALL query asked "DIDL\x00\x00"
//CALL query traps "DIDL\x00\x00"
//CALL upgrade
//CALL ingress __motoko_gc_trigger "DIDL\x00\x00"
