/// A canister that goes to the limits: heap, stable memory, instructions, stack, size of a reply.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat64 "mo:core/Nat64";
import Region "mo:core/Region";
import VarArray "mo:core/VarArray";

persistent actor {
  let kept : List.List<[var Nat8]> = List.empty();
  let region = Region.new();
  var steps : Nat = 0;

  /// Allocates and keeps `mib` MiB (an array of Nat8 takes a word an element: 4 or 8 bytes).
  public func allocate(mib : Nat) : async () {
    var left = mib;
    while (left > 0) {
      List.add(kept, VarArray.repeat<Nat8>(1, 131_072));
      left -= 1
    }
  };

  public func release() : async () { List.clear(kept) };

  public func loopForever() : async () {
    loop { steps += 1 }
  };

  public func loopSteps(n : Nat) : async Nat {
    var i = 0;
    while (i < n) { i += 1 };
    i
  };

  public query func loopForeverInQuery() : async () {
    loop { steps += 1 }
  };

  func descend(n : Nat) : Nat { 1 + descend(n + 1) };

  public func recurseForever() : async Nat { descend(0) };

  public func growRegion(pages : Nat64) : async Nat64 { Region.grow(region, pages) };

  public func touch(offset : Nat64, value : Nat8) : async () { Region.storeNat8(region, offset, value) };

  public query func peek(offset : Nat64) : async Nat8 { Region.loadNat8(region, offset) };

  /// Writes one byte into each of `count` pages of 4 KiB.
  public func touchPages(count : Nat64) : async () {
    var page : Nat64 = 0;
    while (page < count) {
      Region.storeNat8(region, page * 4096, 1);
      page += 1
    }
  };

  public query func bigReply(bytes : Nat) : async Blob { Blob.fromArray(Array.repeat<Nat8>(7, bytes)) };

  public query func sizeOf(argument : Blob) : async Nat { argument.size() };

  public query func get() : async { blocks : Nat; pages : Nat64; steps : Nat } {
    { blocks = List.size(kept); pages = Region.size(region); steps }
  };
}
