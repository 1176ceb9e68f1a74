package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.XAttrSetFlag;
import org.apache.hadoop.fs.permission.AclEntry;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DFSClient;
import org.apache.hadoop.hdfs.DistributedFileSystem;

/** Changes of the name space and of attributes. Paths go to the NameNode as they are: Hadoop's Path refuses some legal names. */
final class Names {
  private Names() {}

  static void run(DistributedFileSystem fs, Client.Request r) throws Exception {
    DFSClient c = fs.getClient();
    String path = r.text("path");
    switch (r.verb()) {
      case "mkdirs" -> {
        for (JsonNode p : r.body().get("paths")) {
          check(c.mkdirs(p.asText(), new FsPermission((short) 0755), true), p.asText());
        }
      }
      case "remove" -> check(c.delete(path, true), path);
      case "rename" -> {
        Options.Rename how = r.flag("overwrite") ? Options.Rename.OVERWRITE : Options.Rename.NONE;
        c.rename(path, r.text("to"), how);
      }
      case "symlink" -> c.createSymlink(r.text("to"), path, true);
      case "concat" -> c.concat(path, texts(r.body().get("paths")));
      case "truncate" -> c.truncate(path, r.number("size"));
      case "set" -> set(c, path, r);
      case "quota" -> fs.setQuota(new Path(path), r.number("names"), r.number("bytes"));
      default -> throw new IllegalArgumentException("unknown request " + r.verb());
    }
  }

  static void check(boolean done, String path) {
    if (!done) {
      throw new IllegalStateException("the NameNode answered false for " + path);
    }
  }

  static String[] texts(JsonNode array) {
    List<String> all = new ArrayList<>();
    array.forEach(n -> all.add(n.asText()));
    return all.toArray(new String[0]);
  }

  /** Sets what is named, times last: what comes before does not change them, but the order keeps it so. */
  private static void set(DFSClient c, String path, Client.Request r) throws Exception {
    if (r.has("owner") || r.has("group")) {
      c.setOwner(path, r.has("owner") ? r.text("owner") : null, r.has("group") ? r.text("group") : null);
    }
    if (r.has("mode")) {
      c.setPermission(path, new FsPermission((short) r.number("mode")));
    }
    if (r.has("acl")) {
      if (r.text("acl").isEmpty()) {
        c.removeAcl(path);
      } else {
        c.setAcl(path, AclEntry.parseAclSpec(r.text("acl"), true));
      }
    }
    if (r.has("xattrs")) {
      for (var e : (Iterable<java.util.Map.Entry<String, JsonNode>>) () -> r.body().get("xattrs").fields()) {
        if (e.getValue().isNull()) {
          c.removeXAttr(path, e.getKey());
        } else {
          c.setXAttr(path, e.getKey(), e.getValue().binaryValue(), EnumSet.of(XAttrSetFlag.CREATE, XAttrSetFlag.REPLACE));
        }
      }
    }
    if (r.has("replication")) {
      check(c.setReplication(path, (short) r.number("replication")), path);
    }
    if (r.has("policy")) {
      c.setStoragePolicy(path, r.text("policy"));
    }
    if (r.has("mtime") || r.has("atime")) {
      c.setTimes(path, r.has("mtime") ? r.number("mtime") : -1, r.has("atime") ? r.number("atime") : -1);
    }
  }
}
