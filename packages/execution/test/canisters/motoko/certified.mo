/// Certified data: set in an update, its certificate read in a query. In an update there is none.
import CertifiedData "mo:core/CertifiedData";

persistent actor {
  var data : Blob = "";

  public func set(value : Blob) : async () {
    data := value;
    CertifiedData.set(value)
  };

  public query func get() : async { data : Blob; certificate : ?Blob } {
    { data; certificate = CertifiedData.getCertificate() }
  };

  public func certificateInUpdate() : async ?Blob { CertifiedData.getCertificate() };
}
