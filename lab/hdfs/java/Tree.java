package understudy.lab.hdfs;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileNotFoundException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.Options.ChecksumCombineMode;
import org.apache.hadoop.fs.permission.AclEntry;
import org.apache.hadoop.hdfs.DFSClient;
import org.apache.hadoop.hdfs.DFSUtilClient;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.protocol.DirectoryListing;
import org.apache.hadoop.hdfs.protocol.HdfsFileStatus;

/** Prints every path below one, itself included, with all that HDFS knows of it. */
final class Tree {
  private static final int READERS = 8;

  private final DFSClient client;
  private final Client.Request request;
  private final List<Callable<Void>> found = new ArrayList<>();

  private Tree(DFSClient client, Client.Request request) {
    this.client = client;
    this.request = request;
  }

  static void run(DistributedFileSystem fs, Client.Request r) throws Exception {
    Tree t = new Tree(fs.getClient(), r);
    String root = r.text("path");
    HdfsFileStatus top = t.client.getFileLinkInfo(root);
    if (top == null) {
      throw new FileNotFoundException(root);
    }
    t.walk(root, top);
    ExecutorService pool = Executors.newFixedThreadPool(READERS);
    try {
      for (Future<Void> f : pool.invokeAll(t.found)) {
        f.get();
      }
    } finally {
      pool.shutdownNow();
    }
  }

  private record Place(String path, HdfsFileStatus status) {}

  // A tree may be a thousand levels deep: no recursion.
  private void walk(String root, HdfsFileStatus top) throws Exception {
    Deque<Place> open = new ArrayDeque<>();
    open.push(new Place(root, top));
    while (!open.isEmpty()) {
      Place at = open.pop();
      found.add(() -> {
        request.reply("entry", entry(at.path(), at.status()));
        return null;
      });
      if (at.status().isDirectory()) {
        children(at.path(), open);
      }
    }
  }

  private void children(String path, Deque<Place> open) throws Exception {
    byte[] after = HdfsFileStatus.EMPTY_NAME;
    DirectoryListing page;
    do {
      page = client.listPaths(path, after);
      if (page == null) {
        throw new FileNotFoundException(path);
      }
      for (HdfsFileStatus child : page.getPartialListing()) {
        String name = DFSUtilClient.bytes2String(child.getLocalNameInBytes());
        open.push(new Place(path.equals("/") ? "/" + name : path + "/" + name, child));
      }
      after = page.getLastName();
    } while (page.hasMore());
  }

  private ObjectNode entry(String path, HdfsFileStatus s) throws Exception {
    ObjectNode n = Client.JSON.createObjectNode();
    n.put("path", path).put("type", s.isDirectory() ? "dir" : s.isSymlink() ? "link" : "file");
    n.put("owner", s.getOwner()).put("group", s.getGroup()).put("mode", s.getPermission().toShort() & 01777);
    n.put("mtime", s.getModificationTime()).put("atime", s.getAccessTime()).put("policy", s.getStoragePolicy());
    if (s.isSymlink()) {
      n.put("target", DFSUtilClient.bytes2String(s.getSymlinkInBytes()));
      return n;
    }
    if (s.getErasureCodingPolicy() != null) {
      n.put("erasure", s.getErasureCodingPolicy().getName());
    }
    if (s.hasAcl()) {
      StringBuilder acl = new StringBuilder();
      for (AclEntry e : client.getAclStatus(path).getEntries()) {
        acl.append(acl.length() == 0 ? "" : ",").append(e);
      }
      n.put("acl", acl.toString());
    }
    ObjectNode xattrs = Client.JSON.createObjectNode();
    for (Map.Entry<String, byte[]> x : client.getXAttrs(path).entrySet()) {
      xattrs.put(x.getKey(), x.getValue() == null ? new byte[0] : x.getValue());
    }
    if (!xattrs.isEmpty()) {
      n.set("xattrs", xattrs);
    }
    if (s.isDirectory()) {
      return n;
    }
    n.put("length", s.getLen()).put("replication", s.getReplication()).put("blockSize", s.getBlockSize());
    if (request.flag("checksums")) {
      n.put("crc", crc(path, s.getLen()));
    }
    return n;
  }

  /** The CRC32C of the whole file, which HDFS combines from those of its chunks. An empty file has none to combine. */
  private long crc(String path, long length) throws Exception {
    FileChecksum sum = client.getFileChecksumWithCombineMode(path, length);
    if (sum == null || length == 0) {
      return 0;
    }
    byte[] b = sum.getBytes();
    if (b.length != Integer.BYTES) {
      throw new IllegalStateException(path + " has a checksum " + sum.getAlgorithmName());
    }
    return Integer.toUnsignedLong(java.nio.ByteBuffer.wrap(b).getInt());
  }
}
