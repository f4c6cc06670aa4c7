/// A whole web application in one canister: its page, its data and its logic. The data are ordinary variables; they
/// survive restarts and upgrades by themselves. The page comes from `http_request` with a certificate, so a gateway
/// can prove to the browser that the network vouches for every byte.
import Assets ".build/Assets";
import Base64 "mo:core/Base64";
import CertifiedData "mo:core/CertifiedData";
import Char "mo:core/Char";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Text "mo:core/Text";
import Time "mo:core/Time";

persistent actor Hello {
  public type Entry = { id : Nat; name : Text; message : Text; time : Int };

  transient let maxNameLength = 60;
  transient let maxMessageLength = 500;
  transient let maxEntries = 1_000;
  transient let maxPage = 100;
  transient let maxArgumentSize = 4_096;

  var count : Nat = 0;
  var nextId : Nat = 0;
  let guestBook = Map.empty<Nat, Entry>();

  // The hash of everything the page consists of; the network signs it with the rest of its state.
  CertifiedData.set(Assets.rootHash);

  // --- counter ---

  public query func counter() : async Nat { count };

  public func increment() : async Nat {
    count += 1;
    count
  };

  // --- guest book ---

  public func sign(name : Text, message : Text) : async { #ok : Entry; #err : Text } {
    let who = Text.trim(name, #predicate(Char.isWhitespace));
    let what = Text.trim(message, #predicate(Char.isWhitespace));
    if (Text.size(who) == 0) return #err("Please tell your name.");
    if (Text.size(what) == 0) return #err("Please write a message.");
    if (Text.size(who) > maxNameLength) return #err("A name has at most " # Nat.toText(maxNameLength) # " characters.");
    if (Text.size(what) > maxMessageLength) {
      return #err("A message has at most " # Nat.toText(maxMessageLength) # " characters.")
    };
    let entry = { id = nextId; name = who; message = what; time = Time.now() };
    nextId += 1;
    Map.add(guestBook, Nat.compare, entry.id, entry);
    if (entry.id >= maxEntries) Map.remove(guestBook, Nat.compare, entry.id - maxEntries : Nat);
    #ok entry
  };

  /// Newest first, at most `limit`, only those older than entry number `before` if given.
  public query func entries(before : ?Nat, limit : Nat) : async [Entry] {
    let page = List.empty<Entry>();
    let wanted = Nat.min(limit, maxPage);
    let newest = switch before { case (?id) id; case null nextId };
    label take for ((id, entry) in Map.reverseEntriesFrom(guestBook, Nat.compare, newest)) {
      if (List.size(page) >= wanted) break take;
      if (id < newest) List.add(page, entry)
    };
    List.toArray(page)
  };

  // --- the web ---

  type HeaderField = (Text, Text);
  type HttpRequest = { method : Text; url : Text; headers : [HeaderField]; body : Blob };
  type HttpResponse = { status_code : Nat16; headers : [HeaderField]; body : Blob };

  public query func http_request(request : HttpRequest) : async HttpResponse {
    let asset = assetAt(pathOf(request.url));
    let certificate : [HeaderField] = switch (CertifiedData.getCertificate()) {
      case (?bytes) [("IC-Certificate", certificateHeader(bytes, asset.exprPath))];
      case null []
    };
    let headers = List.fromArray<HeaderField>(asset.headers);
    List.addAll(headers, certificate.values());
    { status_code = asset.status; headers = List.toArray(headers); body = asset.body }
  };

  func pathOf(url : Text) : Text {
    switch (Text.split(url, #char '?').next()) { case (?path) path; case null "/" }
  };

  func assetAt(path : Text) : Assets.Asset {
    for (asset in Assets.all.values()) { if (asset.path == path) return asset };
    Assets.notFound
  };

  func certificateHeader(certificate : Blob, exprPath : Text) : Text {
    "certificate=:" # Base64.encode(certificate) # ":, tree=:" # Assets.tree # ":, version=2, expr_path=:" # exprPath # ":"
  };

  /// Turns oversized messages away before they cost anything.
  system func inspect({ arg : Blob }) : Bool { arg.size() <= maxArgumentSize };
}
