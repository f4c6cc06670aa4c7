/// Version 1 of three (stable-v2, stable-v3): variables that must survive the upgrades, and the upgrade hooks.
import List "mo:core/List";

persistent actor {
  var count : Nat = 0;
  let names : List.List<Text> = List.empty();
  transient var sinceUpgrade : Nat = 0;
  var hooks : Text = "";

  public func add(name : Text) : async () {
    List.add(names, name);
    count += 1;
    sinceUpgrade += 1
  };

  public query func get() : async { count : Nat; names : [Text]; sinceUpgrade : Nat; hooks : Text } {
    { count; names = List.toArray(names); sinceUpgrade; hooks }
  };

  public query func version() : async Nat { 1 };

  system func preupgrade() { hooks #= "pre1 " };
  system func postupgrade() { hooks #= "post1 " };
}
