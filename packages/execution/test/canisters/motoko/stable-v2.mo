/// Version 2: a new variable, and a hook that can be told to trap, so that an upgrade fails and must be undone whole.
import List "mo:core/List";
import Runtime "mo:core/Runtime";

persistent actor {
  var count : Nat = 0;
  let names : List.List<Text> = List.empty();
  transient var sinceUpgrade : Nat = 0;
  var hooks : Text = "";
  var total : Int = -1;
  var trapInPreupgrade : Bool = false;

  public func add(name : Text) : async () {
    List.add(names, name);
    count += 1;
    total := count;
    sinceUpgrade += 1
  };

  public query func get() : async { count : Nat; names : [Text]; sinceUpgrade : Nat; hooks : Text; total : Int } {
    { count; names = List.toArray(names); sinceUpgrade; hooks; total }
  };

  public query func version() : async Nat { 2 };

  public func setTrapInPreupgrade(on : Bool) : async () { trapInPreupgrade := on };

  system func preupgrade() {
    if (trapInPreupgrade) Runtime.trap("told to trap in preupgrade");
    hooks #= "pre2 "
  };
  system func postupgrade() { hooks #= "post2 " };
}
