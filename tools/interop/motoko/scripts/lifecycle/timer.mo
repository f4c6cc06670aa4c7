// Waits for a timer of five seconds.
import { debugPrint; setTimer } = "mo:⛔";

actor {
  var hasTicked = false;
  let management = actor "aaaaa-aa" : actor { raw_rand : () -> async Blob };
  public func wait() : async () {
    ignore setTimer<system>(5_000_000_000, false, func() : async () { debugPrint "tick"; hasTicked := true });
    while (not hasTicked) ignore await management.raw_rand();
  };
  public query func ticked() : async Bool { hasTicked };
};
