/// Timers of the core library (which share the one global timer of the System API) and a recurring one.
import Int "mo:core/Int";
import List "mo:core/List";
import Runtime "mo:core/Runtime";
import Time "mo:core/Time";
import Timer "mo:core/Timer";

persistent actor {
  let fired : List.List<Text> = List.empty();
  var recurring : Nat = 0;
  transient var recurringId : ?Timer.TimerId = null;

  public func after(milliseconds : Nat, name : Text) : async Nat {
    Timer.setTimer<system>(#milliseconds milliseconds, func() : async () { List.add(fired, name) })
  };

  public func cancel(id : Nat) : async () { Timer.cancelTimer(id) };

  public func every(milliseconds : Nat) : async () {
    recurringId := ?Timer.recurringTimer<system>(#milliseconds milliseconds, func() : async () { recurring += 1 })
  };

  public func stop() : async () {
    switch recurringId { case (?id) Timer.cancelTimer(id); case null {} }
  };

  /// A job that traps must not keep the others from firing.
  public func trapAfter(milliseconds : Nat) : async () {
    ignore Timer.setTimer<system>(#milliseconds milliseconds, func() : async () { Runtime.trap("trapped in a timer") })
  };

  public query func get() : async { fired : [Text]; recurring : Nat } { { fired = List.toArray(fired); recurring } };

  public query func now() : async Nat { Int.abs(Time.now()) };
}
