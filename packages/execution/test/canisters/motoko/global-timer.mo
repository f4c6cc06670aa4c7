/// The global timer as the language gives it: `system func timer`, which sets its own next deadline.
import Nat64 "mo:core/Nat64";
import Time "mo:core/Time";
import Int "mo:core/Int";

persistent actor {
  var ticks : Nat = 0;

  system func timer(set : Nat64 -> ()) : async () {
    ticks += 1;
    if (ticks < 3) set(Nat64.fromNat(Int.abs(Time.now()) + 1_000_000_000))
  };

  public query func get() : async Nat { ticks };
}
