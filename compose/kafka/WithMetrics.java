import java.util.Arrays;

/**
 * Starts the JMX exporter in this JVM, and then what has to be run. As an agent (-javaagent) it does the same, but every
 * class then passes a hook that looks for agents' changes, also those of the class archive.
 */
public final class WithMetrics {
    private WithMetrics() {}

    /** Takes what -javaagent takes (PORT:RULES), a class, and its arguments. */
    public static void main(String[] arguments) throws Exception {
        io.prometheus.jmx.JavaAgent.premain(arguments[0], null);
        String[] rest = Arrays.copyOfRange(arguments, 2, arguments.length);
        Class.forName(arguments[1]).getMethod("main", String[].class).invoke(null, (Object) rest);
    }
}
