package streams;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.WriteBufferManager;

/**
 * One bound for the memory of all stores, whose number grows with rules, partitions and segments.
 *
 * <p>Source: Kafka Streams' documentation, "Memory management", RocksDB.
 */
public final class BoundedRocksDb implements RocksDBConfigSetter {
    private static final long MAX_BYTES = 96L << 20;
    private static final long MAX_WRITE_BYTES = 48L << 20;
    private static final long WRITE_BUFFER_BYTES = 2L << 20;

    static {
        RocksDB.loadLibrary();
    }

    private static final Cache CACHE = new LRUCache(MAX_BYTES);
    private static final WriteBufferManager WRITE_BUFFERS = new WriteBufferManager(MAX_WRITE_BYTES, CACHE);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> settings) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE);
        table.setCacheIndexAndFilterBlocks(true);
        options.setTableFormatConfig(table);
        options.setWriteBufferManager(WRITE_BUFFERS);
        options.setWriteBufferSize(WRITE_BUFFER_BYTES);
    }

    @Override
    public void close(String store, Options options) {} // what all share is nobody's to close
}
