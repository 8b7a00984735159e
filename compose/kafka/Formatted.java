import java.util.Arrays;

/**
 * Formats a KRaft node's storage, where that was not done yet, and then starts the node. By Kafka's own script that is a
 * second JVM, which takes half a second of a processor at each start, also where there is nothing to format.
 */
public final class Formatted {
    private Formatted() {}

    /** Takes a cluster's id, the file with the node's properties, a class, and its arguments. */
    public static void main(String[] arguments) throws Exception {
        String[] format = {"format", "--ignore-formatted", "--cluster-id", arguments[0], "--config", arguments[1]};
        int status = kafka.tools.StorageTool.execute(format, System.out);
        if (status != 0) {
            System.exit(status);
        }
        String[] rest = Arrays.copyOfRange(arguments, 3, arguments.length);
        Class.forName(arguments[2]).getMethod("main", String[].class).invoke(null, (Object) rest);
    }
}
