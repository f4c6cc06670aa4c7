// Counts; what it counted stays over an upgrade.
import { debugPrint } = "mo:⛔";

actor {
  stable var count = 0;
  debugPrint("started at " # debug_show count);
  public func inc() : async () { count += 1; debugPrint("now " # debug_show count) };
  public query func get() : async Nat { debugPrint("asked"); count };
};
